"""GET /v1/prometheus/targets: HTTP service discovery, so that Prometheus finds what runs without ssh and passwords."""

from litestar import get
from litestar.di import NamedDependency

from api.backend import Backend
from api.principal import Permission
from api.services.monitoring import TargetGroup, scrape_targets


@get("/v1/prometheus/targets", permission=Permission.METRICS_READ)
async def targets(backend: NamedDependency[Backend]) -> list[TargetGroup]:
    """Every page of metrics that services of the fleet serve, in the form of Prometheus's `http_sd_configs`."""
    return await scrape_targets(backend.engine, backend.shipped)


ROUTES = (targets,)
