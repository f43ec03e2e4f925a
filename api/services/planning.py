"""What a working tree would do to the fleet, found out without changing anything."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct, structs
from sqlalchemy.ext.asyncio import AsyncEngine

from api.catalogue_files import read_catalogue
from api.database import snapshot
from api.fleet_plan import FleetPlan, plan_fleet
from api.publish.bundle import Scripts, make_bundle, merge_scripts
from api.repositories import catalogue, known_hosts, publications
from desired_state.catalogue import Problem
from desired_state.contract import KindMeta
from desired_state.names import Kind
from desired_state.problems import problems

SCRIPTS = "scripts/"
_DEADLINE_S = 60.0


class Tree(Struct, frozen=True, kw_only=True):
    """A working tree: paths relative to its root, with `/`, and what the files hold."""

    files: Mapping[str, bytes]
    kinds: Mapping[Kind, KindMeta] | None = None
    """What the tree's own scripts say of themselves. None: they are as they are published."""

    @property
    def scripts(self) -> dict[str, bytes]:
        """Its own scripts, by path below the scripts' folder."""
        return {path.removeprefix(SCRIPTS): data for path, data in self.files.items() if path.startswith(SCRIPTS)}


async def plan(engine: AsyncEngine, tree: Tree, shipped: Scripts, *, now: datetime) -> FleetPlan:
    """The plan of that tree against what is published and what hosts reported last.

    Scripts of the tree are never run here: it may come from anybody's merge request. Who made the tree's `kinds` ran
    them. Raises TryLater, BadScript.
    """
    async with snapshot(engine, deadline_s=_DEADLINE_S) as connection:
        published = await catalogue.scripts(connection)
        known = await known_hosts.everything(connection)
        modes = await publications.modes(connection)
    kinds = dict((await asyncio.to_thread(make_bundle, merge_scripts(shipped, published))).kinds)
    changed = tree.scripts != published
    if changed and tree.kinds is not None:
        kinds = {**(await asyncio.to_thread(make_bundle, shipped)).kinds, **tree.kinds}
    read = read_catalogue(tree.files)
    found = [*read.problems]
    if changed and tree.kinds is None:
        message = "scripts changed, and what they say of themselves was not sent: use `towline plan --server`"
        found.append(Problem(pointer="", file=SCRIPTS, message=message))
    if not any(problem.severity == "error" for problem in found):
        found += [read.located(problem) for problem in problems(read.catalogue, kinds)]
    judged = FleetPlan(problems=tuple(sorted(found, key=lambda one: (one.file, one.line, one.pointer, one.message))))
    if judged.refused:
        return judged
    made = await asyncio.to_thread(plan_fleet, read.catalogue, kinds, known, modes, now)
    remarks = ("The scripts change: every host gets a new document with the new bundle",) if changed else ()
    return structs.replace(made, problems=judged.problems, remarks=remarks)
