"""/healthz and /readyz: for whoever keeps this process running, and for who sends requests to it."""

from litestar import get
from litestar.di import NamedDependency
from msgspec import Struct

from api.backend import Backend
from api.principal import Permission
from api.services import trust


class Health(Struct, frozen=True, kw_only=True):
    """Fine."""

    status: str = "ok"


@get("/healthz", permission=Permission.PUBLIC, sync_to_thread=False)
def alive() -> Health:
    """This process answers. It says nothing about the database: restarting would not heal that."""
    return Health()


@get("/readyz", permission=Permission.PUBLIC)
async def ready(backend: NamedDependency[Backend]) -> Health:
    """This process can do its work: the database answers, and has a trust note. Else 503."""
    await trust.newest(backend.engine)
    return Health()


ROUTES = (alive, ready)
