"""POST /v1/publish: bring documents and targets to what is declared, now."""

from litestar import post
from litestar.di import NamedDependency

from api.backend import Backend
from api.principal import Permission
from api.services.publishing import Publication

WAIT_S = 10
"""The timer of this or another replica may be at it at this very moment."""


@post("/v1/publish", permission=Permission.PUBLISH, status_code=200)
async def publish_now(backend: NamedDependency[Backend]) -> Publication:
    """Publish what changed. Nothing to do is a success; 503 while another process goes on publishing."""
    return await backend.publish(verify=True, wait_s=WAIT_S)


ROUTES = (publish_now,)
