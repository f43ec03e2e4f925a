"""/v1/artifacts/sha256/{hex}: packages and script bundles, by digest, with ranges."""

from typing import Any

from litestar import HttpMethod, Request, Response, route
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from api.backend import Backend
from api.principal import Permission
from api.publish.ranges import Span, asked_span
from api.services import artifacts

_MEDIA_TYPE = "application/octet-stream"


@route(
    "/v1/artifacts/sha256/{digest_hex:str}",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    permission=Permission.ARTIFACTS_READ,
    media_type=_MEDIA_TYPE,
)
async def artifact(
    digest_hex: FromPath[str], backend: NamedDependency[Backend], request: Request[Any, Any, Any]
) -> Response[Any]:
    """The file with that sha256; with Range a part of it (206, or 416), so that a download can be taken up again."""
    path = await artifacts.find(backend.engine, backend.artifacts, f"sha256:{digest_hex}")
    size, etag = path.stat().st_size, f'"sha256:{digest_hex}"'
    headers = {"etag": etag, "accept-ranges": "bytes", "cache-control": "private, max-age=31536000, immutable"}
    if request.headers.get("if-none-match") == etag:
        return Response(b"", status_code=304, headers=headers)
    span = asked_span(request.headers.get("range", ""), request.headers.get("if-range", ""), etag, size)
    if span == "unsatisfiable":
        return Response(b"", status_code=416, headers={**headers, "content-range": f"bytes */{size}"})
    part = span if isinstance(span, Span) else Span(first=0, last=size - 1)
    if part is span:
        headers["content-range"] = f"bytes {part.first}-{part.last}/{size}"
    headers["content-length"] = str(part.length)
    body = artifacts.read_span(path, part) if request.method == "GET" else ()
    return Stream(body, status_code=206 if part is span else 200, headers=headers, media_type=_MEDIA_TYPE)


ROUTES = (artifact,)
