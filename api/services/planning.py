"""What a working tree would do to the fleet, found out without changing anything."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncEngine

from api.as_code.catalogue_source import SCRIPTS, Tree
from api.database import snapshot
from api.plans.fleet_plan import FleetPlan, plan_fleet
from api.publish.bundle import Scripts, make_bundle, merge_scripts
from api.repositories import catalogue, known_hosts, publications
from api.services import secrets
from api.services.importing import Judged, judge_with, scripts_of
from desired_state.catalogue import Problem
from desired_state.contract import KindMeta
from desired_state.names import Kind

_DEADLINE_S = 60.0


async def plan_tree(engine: AsyncEngine, judged: Judged, *, now: datetime) -> FleetPlan:
    """The plan of a tree that was judged, against what is published and what hosts reported last. Raises TryLater."""
    if not judged.is_valid:
        return FleetPlan(problems=judged.problems)
    async with snapshot(engine, deadline_s=_DEADLINE_S) as connection:
        published = await catalogue.scripts(connection)
        held = await known_hosts.held_secrets(connection)
        known = await known_hosts.everything(connection)
        modes = await publications.modes(connection)
    made = await asyncio.to_thread(plan_fleet, judged.read.catalogue, judged.kinds, known, modes, secrets=held, now=now)
    changed = judged.scripts != published
    remarks = ("The scripts change: every host gets a new document with the new bundle",) if changed else ()
    return structs.replace(made, problems=judged.problems, remarks=remarks)


async def plan_files(
    engine: AsyncEngine,
    files: Mapping[str, str],
    kinds: Mapping[Kind, KindMeta] | None,
    shipped: Scripts,
    *,
    now: datetime,
) -> FleetPlan:
    """The plan of a tree that somebody sent: paths relative to its root, and what the files hold.

    Its scripts are never run here: it may come from anybody's merge request. `kinds` is what they say of themselves,
    found out by the sender; without it they must be those that are published. Raises TryLater.
    """
    sent = {path: text.encode() for path, text in files.items()}
    tree = Tree(ref="plan", author="", summary="", files=sent)
    async with snapshot(engine) as connection:
        published = await catalogue.scripts(connection)
        there = await secrets.known(connection)
    bundle = await asyncio.to_thread(make_bundle, merge_scripts(shipped, published))
    unknown = scripts_of(tree) != published and kinds is None
    message = "they are not those that are published, and what they say of themselves (kinds) was not sent"
    problem = Problem(pointer="", file=SCRIPTS, message=message) if unknown else None
    judged = await asyncio.to_thread(judge_with, tree, {**bundle.kinds, **(kinds or {})}, problem, there)
    return await plan_tree(engine, judged, now=now)
