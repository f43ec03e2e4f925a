"""/v1/agent/sha256/{hex}: what a host fetches before it is known here, by the digests in its join token."""

from typing import Any

from litestar import HttpMethod, Request, Response, route
from litestar.di import NamedDependency
from litestar.params import FromPath

from api.backend import Backend
from api.controllers.byte_ranges import MEDIA_TYPE, answer_bytes
from api.principal import Permission
from api.services import agents


@route(
    "/v1/agent/sha256/{digest_hex:str}",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    permission=Permission.PUBLIC,
    media_type=MEDIA_TYPE,
)
async def agent_file(
    digest_hex: FromPath[str], backend: NamedDependency[Backend], request: Request[Any, Any, Any]
) -> Response[Any]:
    """The `agentctl.sh` that a join token named, or an archive of the package `towline-agent`; anybody may have them.

    With Range a part of it (206, or 416), so that a download can be taken up again.
    """
    backend.downloads.check()
    found = await agents.offered(backend.engine, backend.artifacts, f"sha256:{digest_hex}")
    headers = {
        "etag": f'"sha256:{digest_hex}"',
        "cache-control": "public, max-age=31536000, immutable",
        "content-disposition": f'attachment; filename="{found.name}"',
    }
    return answer_bytes(request, found.content, headers, counted=backend.downloads.counted)


ROUTES = (agent_file,)
