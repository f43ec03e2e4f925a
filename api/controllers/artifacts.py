"""/v1/artifacts/sha256/{hex}: packages and script bundles, by digest, with ranges."""

from typing import Any

from litestar import HttpMethod, Request, Response, route
from litestar.di import NamedDependency
from litestar.params import FromPath

from api.backend import Backend
from api.controllers.byte_ranges import MEDIA_TYPE, answer_bytes
from api.principal import Permission
from api.services import artifacts


@route(
    "/v1/artifacts/sha256/{digest_hex:str}",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    permission=Permission.ARTIFACTS_READ,
    media_type=MEDIA_TYPE,
)
async def artifact(
    digest_hex: FromPath[str], backend: NamedDependency[Backend], request: Request[Any, Any, Any]
) -> Response[Any]:
    """The file with that sha256; with Range a part of it (206, or 416), so that a download can be taken up again."""
    path = await artifacts.find(backend.engine, backend.artifacts, f"sha256:{digest_hex}")
    headers = {"etag": f'"sha256:{digest_hex}"', "cache-control": "private, max-age=31536000, immutable"}
    return answer_bytes(request, path, headers)


ROUTES = (artifact,)
