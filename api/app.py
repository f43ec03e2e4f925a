"""The web application: the only place that wires Litestar."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Router
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ControllerRouterHandler

from api import version
from api.backend import Backend, open_backend
from api.controllers import (
    agent,
    artifacts,
    catalogue,
    documents,
    events,
    fleet,
    health,
    hosts,
    metrics,
    page_actions,
    pages,
    planning,
    prometheus,
    publishing,
    reports,
    secrets,
    sign_in,
    static,
    stream,
    tokens,
    trust,
)
from api.pages.serving import PAGE_EXCEPTION_HANDLERS
from api.principal import Permission, Principal
from api.settings import Settings
from api.web.guard import permitted, require_permissions
from api.web.openapi import StructSchemas
from api.web.security_headers import add_security_headers
from api.web.strict_request import MAX_BODY_BYTES, StrictRequest

ROUTES: tuple[ControllerRouterHandler, ...] = (
    *agent.ROUTES,
    *artifacts.ROUTES,
    *catalogue.ROUTES,
    *documents.ROUTES,
    *events.ROUTES,
    *fleet.ROUTES,
    *health.ROUTES,
    *hosts.ROUTES,
    *metrics.ROUTES,
    *planning.ROUTES,
    *prometheus.ROUTES,
    *publishing.ROUTES,
    *reports.ROUTES,
    *secrets.ROUTES,
    *sign_in.ROUTES,
    *stream.ROUTES,
    *tokens.ROUTES,
    *trust.ROUTES,
    Router("/", route_handlers=[*pages.ROUTES, *page_actions.ROUTES, *static.ROUTES], include_in_schema=False),
)
Opened = Callable[[], AbstractAsyncContextManager[Backend]]


def create_app(
    settings: Settings, *, opened: Opened | None = None, routes: Sequence[ControllerRouterHandler] = ROUTES
) -> Litestar:
    """The application. It opens the backend when it starts, and closes it when it ends.

    `opened` gives another backend (tests); `routes` others than all. Raises ImproperlyConfiguredException when a route
    declares no permission.
    """

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with (opened or (lambda: open_backend(settings)))() as backend:
            app.state.backend = backend
            yield
            backend.closing.set()

    app = Litestar(
        [*routes],
        dependencies={
            "backend": Provide(_backend, sync_to_thread=False),
            "principal": Provide(_principal, sync_to_thread=False),
        },
        guards=[permitted],
        exception_handlers=PAGE_EXCEPTION_HANDLERS,
        before_send=[add_security_headers],
        request_class=StrictRequest,
        request_max_body_size=MAX_BODY_BYTES,
        lifespan=[lifespan],
        openapi_config=_openapi(),
        plugins=[StructSchemas()],
        logging_config=None,
    )
    require_permissions(app.routes)
    return app


def _backend(request: Request[Any, Any, Any]) -> Backend:
    backend: Backend = request.app.state.backend
    return backend


def _principal(request: Request[Any, Any, Any]) -> Principal:
    principal: Principal = request.scope["state"]["principal"]
    return principal


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="towline",
        version=version(),
        description="Pull-based GitOps for virtual machines. Errors are RFC 9457 problem details.",
        path="/schema",
        # A page of the API from somebody else's CDN has no place under our content security policy.
        render_plugins=[JsonRenderPlugin(path="/openapi.json")],
        openapi_router=Router(
            "/schema", route_handlers=[], opt={"permission": Permission.CATALOGUE_READ}, include_in_schema=False
        ),
        use_handler_docstrings=True,
        components=Components(
            security_schemes={
                "token": SecurityScheme(type="http", scheme="bearer", description="An API token"),
                "session": SecurityScheme(type="apiKey", name="towline", security_scheme_in="cookie"),
            }
        ),
        security=[{"token": []}, {"session": []}],
    )
