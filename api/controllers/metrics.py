"""GET /metrics: for Prometheus."""

from litestar import Response, get
from litestar.di import NamedDependency

from api.backend import Backend
from api.database import snapshot
from api.metrics import CONTENT_TYPE, metrics_text
from api.principal import Permission
from api.services.fleet import read_lines


@get("/metrics", permission=Permission.METRICS_READ, media_type=CONTENT_TYPE)
async def metrics(backend: NamedDependency[Backend]) -> Response[bytes]:
    """Counters of this process, and where hosts stand. For viewers; for this machine too where the settings say so."""
    async with snapshot(backend.engine) as connection:
        lines = await read_lines(connection, backend.now())
    return Response(metrics_text(backend.tally, lines), media_type=CONTENT_TYPE)


ROUTES = (metrics,)
