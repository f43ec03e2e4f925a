"""/v1/catalogue: services, packages, hosts, and the changes that made them."""

from typing import Annotated, Any

from litestar import Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import Struct

from api.backend import Backend
from api.controllers.bounds import MAX_NUMBER, PathName
from api.errors import Conflict
from api.principal import Permission, Principal
from api.repositories.catalogue import EntryKind
from api.services import catalogue, importing
from api.services.catalogue import Change, Conditions, Found, Stored
from api.services.importing import Imported
from desired_state.catalogue import Entry, HostEntry, PackageEntry, ServiceEntry

Limit = Annotated[int, QueryParameter(ge=1, le=1000, description="So many at most")]
After = Annotated[str, QueryParameter(max_length=200, description="`next` of the page before")]


class ServicePage(Struct, frozen=True, kw_only=True):
    """A page of services; `next` is what to give as `after`, null on the last page."""

    items: tuple[ServiceEntry, ...]
    next: str | None = None


class PackagePage(Struct, frozen=True, kw_only=True):
    """A page of packages; `next` is what to give as `after`, null on the last page."""

    items: tuple[PackageEntry, ...]
    next: str | None = None


class HostPage(Struct, frozen=True, kw_only=True):
    """A page of hosts; `next` is what to give as `after`, null on the last page."""

    items: tuple[HostEntry, ...]
    next: str | None = None


class ChangePage(Struct, frozen=True, kw_only=True):
    """A page of changes, newest first; `next` is what to give as `after`, null on the last page."""

    items: tuple[Change, ...]
    next: int | None = None


@get("/v1/catalogue/services", permission=Permission.CATALOGUE_READ)
async def services(backend: NamedDependency[Backend], limit: Limit = 100, after: After = "") -> ServicePage:
    """List services by name."""
    items, following = await catalogue.page(backend.engine, "service", after=after, limit=limit)
    return ServicePage(items=tuple(e for e in items if isinstance(e, ServiceEntry)), next=following)


@get("/v1/catalogue/packages", permission=Permission.CATALOGUE_READ)
async def packages(backend: NamedDependency[Backend], limit: Limit = 100, after: After = "") -> PackagePage:
    """List packages by name and version."""
    items, following = await catalogue.page(backend.engine, "package", after=after, limit=limit)
    return PackagePage(items=tuple(e for e in items if isinstance(e, PackageEntry)), next=following)


@get("/v1/catalogue/hosts", permission=Permission.CATALOGUE_READ)
async def hosts(backend: NamedDependency[Backend], limit: Limit = 100, after: After = "") -> HostPage:
    """List hosts by name."""
    items, following = await catalogue.page(backend.engine, "host", after=after, limit=limit)
    return HostPage(items=tuple(e for e in items if isinstance(e, HostEntry)), next=following)


@get("/v1/catalogue/services/{name:str}", permission=Permission.CATALOGUE_READ)
async def service(
    request: Request[Any, Any, Any], name: PathName, backend: NamedDependency[Backend]
) -> Response[ServiceEntry]:
    """One service; its ETag is what a change of it must name."""
    return _found(request, await catalogue.get(backend.engine, "service", name))


@get("/v1/catalogue/packages/{name:str}", permission=Permission.CATALOGUE_READ)
async def package(
    request: Request[Any, Any, Any], name: PathName, backend: NamedDependency[Backend]
) -> Response[PackageEntry]:
    """One version of a package, `<package>-<version>`; its ETag is what a change of it must name."""
    return _found(request, await catalogue.get(backend.engine, "package", name))


@get("/v1/catalogue/hosts/{name:str}", permission=Permission.CATALOGUE_READ)
async def host(
    request: Request[Any, Any, Any], name: PathName, backend: NamedDependency[Backend]
) -> Response[HostEntry]:
    """One host; its ETag is what a change of it must name."""
    return _found(request, await catalogue.get(backend.engine, "host", name))


@put("/v1/catalogue/services/{name:str}", permission=Permission.CATALOGUE_WRITE)
async def put_service(
    request: Request[Any, Any, Any],
    name: PathName,
    data: JSONBody[ServiceEntry],
    backend: NamedDependency[Backend],
    principal: NamedDependency[Principal],
) -> Response[Stored]:
    """Declare a service. If-Match names the state that was read; If-None-Match: * makes a new one."""
    return await _put(request, name, data, backend, principal)


@put("/v1/catalogue/packages/{name:str}", permission=Permission.CATALOGUE_WRITE)
async def put_package(
    request: Request[Any, Any, Any],
    name: PathName,
    data: JSONBody[PackageEntry],
    backend: NamedDependency[Backend],
    principal: NamedDependency[Principal],
) -> Response[Stored]:
    """Declare a package. If-Match names the state that was read; If-None-Match: * makes a new one."""
    return await _put(request, name, data, backend, principal)


@put("/v1/catalogue/hosts/{name:str}", permission=Permission.CATALOGUE_WRITE)
async def put_host(
    request: Request[Any, Any, Any],
    name: PathName,
    data: JSONBody[HostEntry],
    backend: NamedDependency[Backend],
    principal: NamedDependency[Principal],
) -> Response[Stored]:
    """Declare a host. If-Match names the state that was read; If-None-Match: * makes a new one."""
    return await _put(request, name, data, backend, principal)


@delete("/v1/catalogue/services/{name:str}", permission=Permission.CATALOGUE_WRITE)
async def drop_service(
    request: Request[Any, Any, Any],
    name: PathName,
    backend: NamedDependency[Backend],
    principal: NamedDependency[Principal],
) -> None:
    """Forget a service. It is left alone where it runs: only `state: absent` removes it."""
    await _drop(request, "service", name, backend, principal)


@delete("/v1/catalogue/packages/{name:str}", permission=Permission.CATALOGUE_WRITE)
async def drop_package(
    request: Request[Any, Any, Any],
    name: PathName,
    backend: NamedDependency[Backend],
    principal: NamedDependency[Principal],
) -> None:
    """Forget a package that no service uses."""
    await _drop(request, "package", name, backend, principal)


@delete("/v1/catalogue/hosts/{name:str}", permission=Permission.CATALOGUE_WRITE)
async def drop_host(
    request: Request[Any, Any, Any],
    name: PathName,
    backend: NamedDependency[Backend],
    principal: NamedDependency[Principal],
) -> None:
    """Forget a host. What runs on it goes on as its last document says."""
    await _drop(request, "host", name, backend, principal)


@get("/v1/catalogue/changes", permission=Permission.CATALOGUE_READ)
async def changes(
    backend: NamedDependency[Backend],
    limit: Limit = 50,
    after: Annotated[int | None, QueryParameter(ge=1, le=MAX_NUMBER, description="`next` of the page before")] = None,
) -> ChangePage:
    """Changes of the catalogue, newest first: the refused ones too, with all their problems."""
    items, following = await catalogue.changes(backend.engine, before=after, limit=limit)
    return ChangePage(items=tuple(items), next=following)


@post("/v1/catalogue/import", permission=Permission.CATALOGUE_WRITE, status_code=200)
async def import_now(backend: NamedDependency[Backend], principal: NamedDependency[Principal]) -> Imported:
    """Look at the folder or the git branch now. What is refused is answered with all its problems."""
    if not backend.settings.catalogue.is_code:
        raise Conflict("the catalogue is not kept as code: set [catalogue] folder, or [catalogue.git] url")
    source = importing.source_of(backend.settings)
    return await importing.import_catalogue(
        backend.engine, source, principal, shipped=backend.shipped, now=backend.now()
    )


def _found(request: Request[Any, Any, Any], found: Found) -> Response[Any]:
    headers = {"ETag": f'"{found.etag}"', "Cache-Control": "no-cache"}
    if _etag(request.headers.get("if-none-match")) == found.etag:
        return Response(None, status_code=304, headers=headers)
    return Response(found.entry, headers=headers)


async def _put(
    request: Request[Any, Any, Any], name: str, entry: Entry, backend: Backend, principal: Principal
) -> Response[Stored]:
    _require_writable(backend)
    stored = await catalogue.put(
        backend.engine, principal, name, entry, _conditions(request), shipped=backend.shipped, now=backend.now()
    )
    return Response(stored, status_code=201 if stored.created else 200, headers={"ETag": f'"{stored.etag}"'})


async def _drop(
    request: Request[Any, Any, Any], kind: EntryKind, name: str, backend: Backend, principal: Principal
) -> None:
    _require_writable(backend)
    await catalogue.drop(
        backend.engine, principal, kind, name, _conditions(request), shipped=backend.shipped, now=backend.now()
    )


def _require_writable(backend: Backend) -> None:
    if backend.settings.catalogue.git is not None:
        raise Conflict("the catalogue is kept in git: make a merge request")
    if backend.settings.catalogue.folder is not None:
        raise Conflict(f"the catalogue is kept in {backend.settings.catalogue.folder}: change its files")


def _conditions(request: Request[Any, Any, Any]) -> Conditions:
    return Conditions(
        if_match=_etag(request.headers.get("if-match")), if_none_match=_etag(request.headers.get("if-none-match"))
    )


def _etag(header: str | None) -> str | None:
    return None if header is None else header.strip().removeprefix('"').removesuffix('"')


ROUTES = (
    services,
    packages,
    hosts,
    service,
    package,
    host,
    put_service,
    put_package,
    put_host,
    drop_service,
    drop_package,
    drop_host,
    changes,
    import_now,
)
