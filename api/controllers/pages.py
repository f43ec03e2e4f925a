"""The page: what is looked at. What is done stands in page_actions."""

from typing import Annotated, Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from api.backend import Backend
from api.controllers.bounds import MAX_NUMBER, PathNumber
from api.pages.documents import diff_lines
from api.pages.events import event_lines
from api.pages.serving import page
from api.principal import Permission
from api.services import catalogue, history, log, secrets
from api.services.fleet import Asked, fleet
from api.services.host_detail import host_detail
from api.services.runs import latest_runs
from api.services.service_detail import service_detail, service_list
from desired_state.names import HostName, ServiceName

Before = Annotated[int | None, QueryParameter(ge=1, le=MAX_NUMBER, description="Those below that number")]
EVENTS = 100
CHANGES = 30
LATEST = 5


@get("/", permission=Permission.FLEET_READ)
async def fleet_page(
    request: Request[Any, Any, Any],
    backend: NamedDependency[Backend],
    q: Annotated[str, QueryParameter(max_length=200)] = "",
    standing: Annotated[str, QueryParameter(max_length=40)] = "",
    after: Annotated[str, QueryParameter(max_length=200)] = "",
) -> Response[str]:
    """How the fleet stands."""
    asked = Asked(q=q, standing=standing, after=after)
    found = await fleet(backend.engine, asked, now=backend.now(), polls=backend.polls)
    changes = await history.newest(backend.engine)
    runs = await latest_runs(backend.engine, LATEST)
    return page(
        request,
        "fleet.html",
        "Fleet",
        fleet=found,
        asked=asked,
        newest=changes.applied,
        refused=changes.refused,
        runs=runs,
    )


@get("/hosts/{name:str}", permission=Permission.FLEET_READ)
async def host_page(
    request: Request[Any, Any, Any],
    name: FromPath[HostName],
    backend: NamedDependency[Backend],
    runs: Before = None,
) -> Response[str]:
    """Everything about one host. `runs`: those below that number."""
    return await show_host(request, backend, name, runs=runs)


async def show_host(
    request: Request[Any, Any, Any],
    backend: Backend,
    name: str,
    *,
    runs: int | None = None,
    wrong: dict[str, str] | None = None,
) -> Response[str]:
    """The host's page; `wrong` says what was wrong with the form on it."""
    found = await host_detail(backend.engine, name, now=backend.now(), polls=backend.polls, runs_before=runs)
    status = 422 if wrong else 200
    follow = f"host/{name}"
    return page(
        request, "host.html", "Fleet", status=status, host=found, asked={"runs": runs}, wrong=wrong, follow=follow
    )


@get("/hosts/{name:str}/documents/{revision:int}", permission=Permission.FLEET_READ)
async def document_page(
    request: Request[Any, Any, Any],
    name: FromPath[HostName],
    revision: PathNumber,
    backend: NamedDependency[Backend],
) -> Response[str]:
    """One document, and what changed with it."""
    found = await history.revision_detail(backend.engine, name, revision)
    lines = diff_lines(found.lines)
    return page(
        request,
        "document.html",
        "Fleet",
        host=name,
        entry=found.entry,
        before=found.before,
        lines=lines,
        note=found.note,
    )


@get("/services", permission=Permission.FLEET_READ)
async def services_page(request: Request[Any, Any, Any], backend: NamedDependency[Backend]) -> Response[str]:
    """All services, and the secrets that they may use, without values."""
    services, held = await service_list(backend.engine), await secrets.listed(backend.engine)
    return page(request, "services.html", "Services", services=services, secrets=held)


@get("/services/{name:str}", permission=Permission.FLEET_READ)
async def service_page(
    request: Request[Any, Any, Any],
    name: FromPath[ServiceName],
    backend: NamedDependency[Backend],
    after: Annotated[str, QueryParameter(max_length=128)] = "",
) -> Response[str]:
    """One service across hosts."""
    found = await service_detail(backend.engine, name, now=backend.now(), polls=backend.polls, after=after)
    return page(request, "service.html", "Services", service=found, asked={"after": after})


@get("/changes", permission=Permission.CATALOGUE_READ)
async def changes_page(
    request: Request[Any, Any, Any], backend: NamedDependency[Backend], after: Before = None
) -> Response[str]:
    """Changes of the catalogue."""
    changes, following = await catalogue.changes(backend.engine, before=after, limit=CHANGES)
    return page(request, "changes.html", "Changes", changes=changes, after=following, asked={"after": after})


@get("/changes/{number:int}", permission=Permission.CATALOGUE_READ)
async def change_page(
    request: Request[Any, Any, Any], number: PathNumber, backend: NamedDependency[Backend]
) -> Response[str]:
    """One change, what is wrong with it, and what it made."""
    change, documents = await history.change_detail(backend.engine, number)
    return page(request, "change.html", "Changes", change=change, documents=documents)


@get("/events", permission=Permission.EVENTS_READ)
async def events_page(
    request: Request[Any, Any, Any], backend: NamedDependency[Backend], after: Before = None
) -> Response[str]:
    """Who did what."""
    found = await log.read(backend.engine, after=after, subject="", limit=EVENTS)
    lines = event_lines(found.items)
    return page(request, "events.html", "Events", events=lines, after=found.next, asked={"after": after})


ROUTES = (
    fleet_page,
    host_page,
    document_page,
    services_page,
    service_page,
    changes_page,
    change_page,
    events_page,
)
