"""Who asks, and whether that one may: the one place that lets requests through to handlers."""

import ipaddress
from collections.abc import Iterable
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import ImproperlyConfiguredException
from litestar.handlers import BaseRouteHandler
from litestar.routes import BaseRoute

from api.backend import Backend
from api.errors import Forbidden, Unauthenticated
from api.principal import ANONYMOUS, Permission, Principal, host_principal
from api.services import enrolment, sessions, tokens
from api.web.session_cookie import check_unsafe, session_secret

_OPT = "permission"
_FOR_HOSTS = frozenset({Permission.HOST, Permission.ARTIFACTS_READ})


async def permitted(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """The guard of every route: finds out who asks, and refuses whoever lacks the route's permission."""
    permission = handler.opt.get(_OPT)
    if permission is None:  # OPTIONS, which Litestar makes; `require_permissions` let no other pass
        return
    request = connection if isinstance(connection, Request) else Request[Any, Any, Any](connection.scope)
    principal = await _principal(request, permission)
    connection.scope["state"]["principal"] = principal
    if principal.may(permission) and _is_own(principal, request):
        return
    if permission is Permission.METRICS_READ and _may_scrape(request):
        return
    if principal is ANONYMOUS:
        raise Unauthenticated("sign in, or send an API token: Authorization: Bearer <token>")
    raise Forbidden(f"{principal.actor} may not do this: it needs the permission {permission}")


def require_permissions(routes: Iterable[BaseRoute]) -> None:
    """Passes when each route declares which permission it needs. Raises ImproperlyConfiguredException."""
    open_routes = sorted(
        f"{'/'.join(sorted(getattr(handler, 'http_methods', ())))} {route.path}"
        for route in routes
        for handler in getattr(route, "route_handlers", None) or [route.route_handler]  # type: ignore[attr-defined]
        if not isinstance(handler.opt.get(_OPT), Permission)
        and set(getattr(handler, "http_methods", ())) != {"OPTIONS"}
    )
    if open_routes:
        raise ImproperlyConfiguredException(f"these routes declare no permission: {', '.join(open_routes)}")


async def _principal(request: Request[Any, Any, Any], permission: Permission) -> Principal:
    """Who asks. What is offered and wrong is refused, never taken for nobody."""
    backend: Backend = request.app.state.backend
    if permission in _FOR_HOSTS and "signature-input" in request.headers:
        return await _host(request, backend)
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme:
        found = None
        if scheme.lower() == "bearer":
            found = await tokens.recognised(backend.engine, credentials.strip(), now=backend.now())
        if found is None:
            raise Unauthenticated("this API token is not known, or it ended")
        return found
    secret = session_secret(request, secure=backend.secure_cookies)
    if secret:
        found = await sessions.recognised(backend.engine, secret, now=backend.now())
        if found is not None:
            if permission is not Permission.PUBLIC:
                await check_unsafe(request, found)
            return found
    return ANONYMOUS


async def _host(request: Request[Any, Any, Any], backend: Backend) -> Principal:
    host = await enrolment.authenticated_host(
        backend.engine,
        backend.trusted.keys.exchange,
        method=request.method,
        target=request_target(request),
        headers=request.headers,
        body=None if request.method in {"GET", "HEAD"} else await request.body(),
        now=backend.now(),
    )
    return host_principal(host)


def request_target(request: Request[Any, Any, Any]) -> str:
    """Path and query as they stood in the request line: what a signature covers."""
    path = request.scope.get("raw_path", b"").decode("latin-1") or request.scope["path"]
    query = request.scope.get("query_string", b"").decode("latin-1")
    return f"{path}?{query}" if query else path


def _may_scrape(request: Request[Any, Any, Any]) -> bool:
    """Whether the settings let a collector on this machine read the metrics without a token."""
    backend: Backend = request.app.state.backend
    if not backend.settings.server.metrics_from_loopback or request.client is None:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _is_own(principal: Principal, request: Request[Any, Any, Any]) -> bool:
    """A host reaches its own resources only: the name in the path is the one that signed."""
    return not principal.host or request.path_params.get("name", principal.host) == principal.host
