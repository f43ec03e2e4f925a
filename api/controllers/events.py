"""/v1/events: the audit log."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from api.backend import Backend
from api.controllers.bounds import MAX_NUMBER
from api.principal import Permission
from api.services import log
from api.services.log import Events


@get("/v1/events", permission=Permission.EVENTS_READ)
async def events(
    backend: NamedDependency[Backend],
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
    after: Annotated[int | None, QueryParameter(ge=1, le=MAX_NUMBER, description="`next` of the page before")] = None,
    subject: Annotated[str, QueryParameter(max_length=250, description="Only about this, e.g. host/alpha")] = "",
) -> Events:
    """Who did what, newest first."""
    return await log.read(backend.engine, after=after, subject=subject, limit=limit)


ROUTES = (events,)
