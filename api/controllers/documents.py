"""GET /v1/hosts/{name}/document: what that host shall be.

`api.front` answers this in front of the router; here it is described, and answered where a process runs without it.
"""

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from api.backend import Backend
from api.database import snapshot
from api.errors import NotFound
from api.front import CONTENT_TYPE, etag_of, matches
from api.principal import Permission
from api.repositories import polls
from desired_state.names import HostName


@get("/v1/hosts/{name:str}/document", permission=Permission.HOST, media_type=CONTENT_TYPE)
async def document(
    name: FromPath[HostName], request: Request[Any, Any, Any], backend: NamedDependency[Backend]
) -> Response[bytes]:
    """The newest document of the host, signed: its exact bytes. With If-None-Match 304 where it is unchanged."""
    async with snapshot(backend.engine) as connection:
        found = await polls.poll(connection, name)
    if found.digest is None or found.note is None:
        raise NotFound(f"nothing is published for {name}")
    etag = etag_of(found.digest)
    headers = {"etag": etag.decode(), "cache-control": "no-cache"}
    if matches(request.headers.get("if-none-match", "").encode("latin-1"), etag):
        return Response(b"", status_code=304, headers=headers)
    return Response(found.note, headers=headers, media_type=CONTENT_TYPE)


ROUTES = (document,)
