"""/v1/trust: whom hosts believe. Public: it holds public keys only, and its signatures are its proof."""

from litestar import Response, get
from litestar.di import NamedDependency

from api.backend import Backend
from api.controllers.bounds import PathNumber
from api.principal import Permission
from api.services import trust


@get("/v1/trust", permission=Permission.PUBLIC)
async def newest(backend: NamedDependency[Backend]) -> Response[bytes]:
    """The newest trust note."""
    return _note(await trust.version(backend.engine, None))


@get("/v1/trust/{version:int}", permission=Permission.PUBLIC)
async def version(version: PathNumber, backend: NamedDependency[Backend]) -> Response[bytes]:
    """The trust note of that version."""
    return _note(await trust.version(backend.engine, version))


def _note(note: bytes) -> Response[bytes]:
    return Response(note, media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-cache"})


ROUTES = (newest, version)
