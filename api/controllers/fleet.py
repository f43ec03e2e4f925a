"""/v1/fleet, /v1/hosts/{name}, /v1/services/{name}: where everything stands, as JSON. The page shows the same."""

from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from api.backend import Backend
from api.controllers.bounds import MAX_NUMBER, PathNumber
from api.principal import Permission
from api.services.fleet import Asked, Fleet
from api.services.fleet import fleet as ask_fleet
from api.services.history import RevisionDetail, document_list, revision_detail
from api.services.host_detail import DocumentLine, HostDetail, host_detail
from api.services.runs import RunLine, host_runs
from api.services.service_detail import ServiceDetail, service_detail
from api.services.standing import Word
from desired_state.names import HostName, ServiceName

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="So many at most")]
Before = Annotated[int | None, QueryParameter(ge=1, le=MAX_NUMBER, description="`next` of the page before")]


class Runs(Struct, frozen=True, kw_only=True):
    """Runs of a host, newest first; `next` is what to give as `after`, null on the last page."""

    items: tuple[RunLine, ...]
    next: int | None = None


class Documents(Struct, frozen=True, kw_only=True):
    """Documents of a host, newest first; `next` is what to give as `after`, null on the last page."""

    items: tuple[DocumentLine, ...]
    next: int | None = None


@get("/v1/fleet", permission=Permission.FLEET_READ)
async def fleet(
    backend: NamedDependency[Backend],
    q: Annotated[str, QueryParameter(max_length=200, description="Parts of names, labels as key=value")] = "",
    standing: Annotated[Word | None, QueryParameter(description="Only hosts that stand so")] = None,
    after: Annotated[str, QueryParameter(max_length=200, description="`next` of the page before")] = "",
    limit: Limit = 100,
) -> Fleet:
    """How many hosts stand how, and one page of them, those first that need a person."""
    asked = Asked(q=q, standing=standing.value if standing else "", after=after, limit=limit)
    return await ask_fleet(backend.engine, asked, now=backend.now(), polls=backend.polls)


@get("/v1/hosts/{name:str}", permission=Permission.FLEET_READ)
async def host(name: FromPath[HostName], backend: NamedDependency[Backend]) -> HostDetail:
    """One host: its standing and why, desired beside observed, conditions, last runs, documents."""
    return await host_detail(backend.engine, name, now=backend.now(), polls=backend.polls)


@get("/v1/hosts/{name:str}/runs", permission=Permission.FLEET_READ)
async def runs(
    name: FromPath[HostName], backend: NamedDependency[Backend], after: Before = None, limit: Limit = 20
) -> Runs:
    """Passes of a host that did something."""
    found = await host_runs(backend.engine, name, before=after, limit=limit + 1)
    return Runs(items=found[:limit], next=found[limit - 1].seq if len(found) > limit else None)


@get("/v1/hosts/{name:str}/documents", permission=Permission.FLEET_READ)
async def documents(
    name: FromPath[HostName], backend: NamedDependency[Backend], after: Before = None, limit: Limit = 20
) -> Documents:
    """What was published for a host, and which change made it."""
    found = await document_list(backend.engine, name, before=after, limit=limit + 1)
    return Documents(items=found[:limit], next=found[limit - 1].revision if len(found) > limit else None)


@get("/v1/hosts/{name:str}/documents/{revision:int}", permission=Permission.FLEET_READ)
async def document(
    name: FromPath[HostName],
    revision: PathNumber,
    backend: NamedDependency[Backend],
) -> RevisionDetail:
    """One document, and what differs from the one before it."""
    return await revision_detail(backend.engine, name, revision)


@get("/v1/services/{name:str}", permission=Permission.FLEET_READ)
async def service(
    name: FromPath[ServiceName],
    backend: NamedDependency[Backend],
    after: Annotated[str, QueryParameter(max_length=128, description="`next` of the page before")] = "",
) -> ServiceDetail:
    """One service across hosts."""
    return await service_detail(backend.engine, name, now=backend.now(), polls=backend.polls, after=after)


ROUTES = (fleet, host, runs, documents, document, service)
