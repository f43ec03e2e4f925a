"""POST /v1/plan: what a working tree would do."""

from typing import Any

from litestar import Request, post
from litestar.di import NamedDependency
from msgspec import Struct

from api.backend import Backend
from api.errors import Invalid
from api.plans.fleet_plan import FleetPlan
from api.principal import Permission
from api.reading import Unreadable, read_json
from api.services.planning import plan_files
from desired_state.contract import KindMeta
from desired_state.names import Kind

MAX_BYTES = 64 << 20
"""A catalogue of ten thousand files."""


class PlanRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A working tree."""

    files: dict[str, str]
    """`catalogue/…` and `scripts/…`: paths relative to the repository's root, and what the files hold."""
    kinds: dict[Kind, KindMeta] | None = None
    """What the tree's own scripts print for `meta`; needed when they are not those that are published."""


@post("/v1/plan", permission=Permission.PLAN, status_code=200, request_max_body_size=MAX_BYTES)
async def plan(request: Request[Any, Any, Any], backend: NamedDependency[Backend]) -> FleetPlan:
    """Plan a working tree (a PlanRequest) for the whole fleet. Changes nothing; a tree with problems is told them."""
    try:
        asked = read_json(await request.body(), PlanRequest, max_bytes=MAX_BYTES)
    except Unreadable as error:
        raise Invalid("the request's body is not valid", error.problems) from error
    return await plan_files(backend.engine, asked.files, asked.kinds, backend.shipped, now=backend.now())


ROUTES = (plan,)
