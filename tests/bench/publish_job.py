"""The whole publish job: from a changed catalogue to signed documents in the database and on a git branch.

Beside it the bare tree builder, which is given the same bytes and only has to put them on a branch.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pygit2

from api.database import make_engine, migrate
from api.git_access import GitAccess
from api.publish.git import GitTarget
from api.publish.target import Target, document_path
from api.services.publishing import publish
from desired_state.catalogue import HostEntry, Override, Placement, ServiceEntry
from desired_state.names import HostName
from tests.api.fleet_world import World
from tests.bench.measurement import Measurement
from tests.bench.publishing import BareBranch

FLEET = 10_000
SERVICES = 10
ROUNDS = {1: 3, FLEET: 2}


def measure() -> Iterator[Measurement]:
    """One changed host in a fleet of 10,000, then all of them; SQLite holds the catalogue."""
    with tempfile.TemporaryDirectory(prefix="towline-bench-") as scratch:
        yield from asyncio.run(_measure(Path(scratch)))


async def _measure(scratch: Path) -> Sequence[Measurement]:
    engine = make_engine(f"sqlite:///{scratch / 'towline.sqlite3'}")
    pygit2.init_repository(str(scratch / "ours"), bare=True)
    target = GitTarget(GitAccess(url=str(scratch / "ours")), "published", scratch / "scratch")
    try:
        await migrate(engine)
        world = World(engine)
        await world.trust()
        fleet = _Fleet(world, target, BareBranch(scratch / "bare"))
        await fleet.change(FLEET)
        return [await fleet.measured(1, "1 host"), await fleet.measured(FLEET, "10,000 hosts")]
    finally:
        await engine.dispose()


class _Fleet:
    """A catalogue that changes, published by us and by the bare tree builder in turns."""

    def __init__(self, world: World, target: Target, bare: BareBranch) -> None:
        self._world = world
        self._publisher = world.publisher(target)
        self._bare = bare
        self._round = 0
        self._version = ""
        self._known: Mapping[HostName, bytes] = {}

    async def measured(self, changed: int, noun: str) -> Measurement:
        """Medians of both."""
        pairs = [await self.change(changed) for _ in range(ROUNDS[changed])]
        return Measurement(
            name=f"whole publish job, {noun} of 10,000 changed",
            value=statistics.median(ours for ours, _ in pairs) * 1000,
            unit="ms",
            reference=statistics.median(bare for _, bare in pairs) * 1000,
            reference_name="bare tree builder, the same bytes",
        )

    async def change(self, changed: int) -> tuple[float, float]:
        """Change so many hosts, and publish both ways: seconds of ours, seconds of the bare one."""
        self._round += 1
        if changed == FLEET:
            self._version = f"1.{self._round}"
        await self._world.declare(_catalogue(self._version, self._round), f"change {self._round}")
        began = time.perf_counter()
        done = await publish(self._world.engine, self._publisher)
        ours = time.perf_counter() - began
        assert done.complete, done
        notes = await self._world.notes()
        fresh = {document_path(host): note for host, note in notes.items() if self._known.get(host) != note}
        assert len(fresh) == changed, f"{len(fresh)} documents changed"
        self._known = notes
        began = time.perf_counter()
        self._bare.publish(fresh)
        return ours, time.perf_counter() - began


def _catalogue(version: str, exception: int) -> list[HostEntry | ServiceEntry]:
    """Ten services on every host; the first host has a port of its own for the first of them."""
    override = {"h00000": Override(parameters={"port": 1000 + exception})}
    return [
        *(HostEntry(host=f"h{number:05}", labels={"all": "yes"}) for number in range(FLEET)),
        *(
            ServiceEntry(
                service=f"service-{number}",
                kind="toy",
                version=version,
                placement=Placement(labels={"all": "yes"}),
                overrides=override if number == 0 else {},
            )
            for number in range(SERVICES)
        ),
    ]
