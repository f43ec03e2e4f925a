"""GET /metrics: for Prometheus."""

import ipaddress
from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency

from api.backend import Backend
from api.database import snapshot
from api.errors import Unauthenticated
from api.metrics import CONTENT_TYPE, metrics_text
from api.principal import Permission, Principal
from api.services.fleet import read_lines


@get("/metrics", permission=Permission.PUBLIC, media_type=CONTENT_TYPE)
async def metrics(
    request: Request[Any, Any, Any], backend: NamedDependency[Backend], principal: NamedDependency[Principal]
) -> Response[bytes]:
    """Counters of this process, and where hosts stand. For viewers; for this machine too where the settings say so."""
    local = backend.settings.server.metrics_from_loopback and _is_loopback(request)
    if not (local or principal.may(Permission.METRICS_READ)):
        raise Unauthenticated("metrics need an API token with the permission metrics:read")
    async with snapshot(backend.engine) as connection:
        lines = await read_lines(connection, backend.now())
    return Response(metrics_text(backend.tally, lines), media_type=CONTENT_TYPE)


def _is_loopback(request: Request[Any, Any, Any]) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


ROUTES = (metrics,)
