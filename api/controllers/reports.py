"""POST /v1/hosts/{name}/reports: what hosts say of themselves."""

from typing import Any

from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from api.backend import Backend
from api.principal import Permission
from api.services.ingest import read_delivery
from desired_state.names import HostName
from desired_state.report import Receipt


@post("/v1/hosts/{name:str}/reports", permission=Permission.HOST, status_code=200)
async def deliver(
    name: FromPath[HostName], request: Request[Any, Any, Any], backend: NamedDependency[Backend]
) -> Receipt:
    """Take in reports and a heartbeat. What the receipt names is durable; the same again is accepted again."""
    return await backend.ingest.submit(name, read_delivery(await request.body()))


ROUTES = (deliver,)
