"""A change of a cluster is published one member at a time; what waits is told, and nothing of it is stored for long."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy.event
from msgspec.structs import replace
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import snapshot, transaction
from api.models import host_override, publication
from desired_state.catalogue import Cluster, HostEntry, Member, Override, Placement, ServiceEntry
from desired_state.report import Condition
from tests.api.fleet_world import NOW, World, in_a_world
from tests.api.rolling_world import LAST, OTHER, QUEUE, Roll, begun, formed, reasons

CLUSTER = QUEUE.cluster
assert CLUSTER is not None


def test_the_first_formation_is_published_at_once(database_url: str) -> None:
    """There is nothing yet that could be interrupted."""

    async def work(world: World) -> Any:
        done = await Roll(world).declare()
        leaders = {
            host: [service.parameters for service in document.services]
            for host, document in (await world.documents()).items()
        }
        return done.held, leaders

    wanted = {"a": [{}], "b": [{"leader": "a:80"}], "c": [{"leader": "a:80"}], "d": []}
    assert ({}, wanted) == in_a_world(database_url, work)


def test_a_change_goes_from_member_to_member_and_to_the_primary_last(database_url: str) -> None:
    """Each gets its document when the one before has reported, and every wait has its sentence."""

    async def work(world: World) -> list[Any]:
        roll = await formed(world)
        told = [(await roll.versions(), reasons(await roll.declare(version="2")))]
        for host in ("b", "c", "a"):
            told.append((await roll.versions(), reasons(await roll.publish())))
            await roll.report(host)
            await roll.publish()
        told.append((await roll.versions(), reasons(await roll.publish())))
        return told

    b, c = LAST.format("b", 2), LAST.format("c", 2)
    assert [
        ("111-", {"a": [b], "c": [b]}),
        ("121-", {"a": [b], "c": [b]}),
        ("122-", {"a": [c]}),
        ("222-", {}),
        ("222-", {}),
    ] == in_a_world(database_url, work)


def test_nothing_is_written_while_nothing_is_reported(database_url: str) -> None:
    """A wait is one row, however often somebody looks."""

    async def work(world: World) -> bool:
        roll = await begun(world)
        counts = []
        for _ in range(3):
            await roll.publish()
            async with snapshot(world.engine) as connection:
                counts.append(await connection.scalar(select(func.count()).select_from(publication)))
        return len(set(counts)) == 1

    assert in_a_world(database_url, work) is True


STOPS: dict[str, tuple[dict[str, Any], str]] = {
    "degraded": ({"health": "degraded", "reason": "1 of 3"}, "waits for b: its service queue is degraded: 1 of 3"),
    "down": ({"health": "unhealthy", "reason": "no answer"}, "waits for b: its service queue is unhealthy: no answer"),
    "not applied": (
        {
            "applied_revision": 1,
            "sync": "behind",
            "conditions": (
                Condition(
                    type="Stalled",
                    status="True",
                    reason="StepFailed",
                    message="start queue failed",
                    since=NOW,
                ),
            ),
        },
        "waits for b: it has not reached revision 2: start queue failed",
    ),
    "rolled back": ({"sync": "behind"}, "waits for b: it has not reached revision 2"),
    "audit": (
        {"applied_revision": 1, "mode": "audit"},
        "waits for b: it is in audit mode, and does not apply revision 2",
    ),
    "suspended": ({"mode": "suspended"}, "waits for b: it is suspended, so nobody looks after it"),
}  # fmt: skip


@pytest.mark.parametrize("name", STOPS)
def test_a_member_that_does_not_become_well_stops_the_roll(database_url: str, name: str) -> None:
    """And it is said which one, and why."""
    changes, said = STOPS[name]

    async def work(world: World) -> Any:
        roll = await begun(world)
        await roll.report("b", **changes)
        return reasons(await roll.publish()), await roll.versions()

    assert ({"a": [said], "c": [said]}, "121-") == in_a_world(database_url, work)


def test_a_silent_member_stops_the_roll_until_it_is_heard_of(database_url: str) -> None:
    """Evidence grows old by itself, without a report."""

    async def work(world: World) -> Any:
        roll = await begun(world)
        await roll.report("b")
        world.later(minutes=10)
        await roll.report("a", "c")
        silent = reasons(await roll.publish())
        await roll.report("b")
        return silent, reasons(await roll.publish()), await roll.versions()

    said = "waits for b: nothing was heard of it lately"
    wanted = ({"a": [said], "c": [said]}, {"a": [LAST.format("c", 2)]}, "122-")
    assert wanted == in_a_world(database_url, work)


def test_what_breaks_a_member_is_taken_back_at_once(database_url: str) -> None:
    """The repair of a broken member does not wait for that member."""

    async def work(world: World) -> Any:
        roll = await begun(world)
        await roll.report("b", health="unhealthy")
        back = await roll.declare(version="1")
        return back.held, await roll.versions(), (await world.documents())["b"].revision

    assert ({}, "111-", 3) == in_a_world(database_url, work)


def test_without_rolling_every_member_gets_it_at_once(database_url: str) -> None:
    """The way out when a member is gone for good: also in the middle of a roll."""

    async def work(world: World) -> Any:
        roll = Roll(world)
        await roll.declare()
        await roll.report("a", "b")
        first = await roll.declare(version="2")
        done = await roll.declare(version="2", cluster=replace(CLUSTER, rolling=False))
        return sorted(first.held), done.held, await roll.versions()

    assert (["a", "b"], {}, "222-") == in_a_world(database_url, work)


def test_moving_the_primary_is_one_change_of_all(database_url: str) -> None:
    """Between the old primary and the new one there is no state in which the cluster is whole."""

    async def work(world: World) -> Any:
        roll = await formed(world)
        done = await roll.declare(cluster=replace(CLUSTER, primary="c"))
        return done.held, done.documents

    assert ({}, 3) == in_a_world(database_url, work)


def test_a_member_that_joins_has_its_turn(database_url: str) -> None:
    """Until then its document says nothing of the service."""

    async def work(world: World) -> Any:
        roll = Roll(world)
        await roll.declare()
        await roll.report("a", "b", "c", "d")
        await roll.declare(version="2")
        more = replace(CLUSTER, members={**CLUSTER.members, "d": Member(id=4)})
        held = reasons(await roll.declare(version="2", cluster=more))
        before = await roll.versions()
        await roll.report("b")
        await roll.publish()
        return held, before, await roll.versions()

    b = LAST.format("b", 2)
    assert ({"a": [b], "c": [b], "d": [b]}, "121-", "1212") == in_a_world(database_url, work)


def test_what_is_held_is_the_service_and_not_the_document(database_url: str) -> None:
    """A suspension and another service reach a host while its cluster waits."""

    async def work(world: World) -> Any:
        roll = await begun(world)
        async with transaction(world.engine) as connection:
            await connection.execute(
                insert(host_override).values(host="c", mode="suspended", reason="disk", actor="x", at_us=1)
            )
        await roll.declare(replace(OTHER, placement=Placement(all=True)), version="2")
        found = (await world.documents())["c"]
        return found.mode, [(service.name, service.version) for service in found.services]

    assert ("suspended", [("other", "1"), ("queue", "1")]) == in_a_world(database_url, work)


def test_what_cannot_go_without_it_waits_too(database_url: str) -> None:
    """A service that needs one that has not come yet would make a document that no host accepts."""

    async def work(world: World) -> Any:
        roll = Roll(world)
        await roll.declare()
        await roll.report("a", "b", "c", "d")
        await roll.declare(version="2")
        more = replace(CLUSTER, members={**CLUSTER.members, "d": Member(id=4)})
        needs = replace(OTHER, placement=Placement(hosts=("d",)), depends_on=("queue",))
        done = await roll.declare(needs, version="2", cluster=more)
        return done.refused, (await world.documents())["d"].services

    refused, services = in_a_world(database_url, work)
    assert "queue waits for b: it has not reported revision 2 yet; the rest cannot come before it" in refused["d"]
    assert () == services


def test_a_fresh_date_comes_to_whom_something_is_held(database_url: str) -> None:
    """A document must not run out because a cluster waits."""

    async def work(world: World) -> Any:
        roll = await begun(world)
        world.now += timedelta(days=46)
        await roll.publish()
        return await roll.versions(), (await world.documents())["c"].revision

    assert ("121-", 2) == in_a_world(database_url, work)


def test_two_clusters_on_one_host_wait_each_for_its_own(database_url: str) -> None:
    """What one waits for is no reason for the other to wait, in whatever order they come."""

    async def work(world: World) -> Any:
        roll = Roll(world)
        other = replace(QUEUE, service="second", cluster=replace(CLUSTER, primary="b"))
        await roll.declare(other)
        await roll.report("a", "b", "c")
        held = reasons(await roll.declare(replace(other, version="2"), version="2"))
        for host in ("b", "a", "c", "b", "a", "c"):
            await roll.report(host)
            await roll.publish()
        services = [(s.name, s.version) for host in "abc" for s in (await world.documents())[host].services]
        return held, set(services)

    a, b = LAST.format("a", 2), LAST.format("b", 2)
    wanted = {"a": [b], "b": [a], "c": [b, a]}
    assert (wanted, {("queue", "2"), ("second", "2")}) == in_a_world(database_url, work)


def test_a_change_of_one_member_alone_holds_nobody(database_url: str) -> None:
    """An override of one member concerns that one."""

    async def work(world: World) -> Any:
        roll = await formed(world)
        done = await roll.declare(overrides={"c": Override(parameters={"port": 81})})
        return done.held, done.documents

    assert ({}, 1) == in_a_world(database_url, work)


def test_a_cluster_of_one_waits_for_nobody(database_url: str) -> None:
    """Nor for itself."""

    async def work(world: World) -> Any:
        roll = Roll(world)
        alone = Cluster(members={"a": Member(id=1)}, primary="a")
        await roll.declare(cluster=alone)
        await roll.report("a")
        done = await roll.declare(cluster=alone, version="2")
        return done.held, await roll.versions()

    assert ({}, "2---") == in_a_world(database_url, work)


def test_deciding_asks_no_question_for_each_host(database_url: str) -> None:
    """Ten clusters or one: as many statements, while something is held and when nothing is new."""

    def clusters(count: int) -> list[HostEntry | ServiceEntry]:
        found: list[HostEntry | ServiceEntry] = []
        for number in range(count):
            names = [f"h{number}-{letter}" for letter in "abc"]
            members = {name: Member(id=place) for place, name in enumerate(names, 1)}
            found += [HostEntry(host=name) for name in names]
            found.append(replace(QUEUE, service=f"q{number}", cluster=Cluster(members=members, primary=names[0])))
        return found

    async def work(world: World) -> list[list[int]]:
        found = []
        for count in (1, 10):
            declared = clusters(count)
            roll = Roll(world)
            await world.declare(declared)
            await roll.publish()
            await roll.report(*(entry.host for entry in declared if isinstance(entry, HostEntry)))
            await world.declare([replace(e, version="2") if isinstance(e, ServiceEntry) else e for e in declared])
            with statements(world.engine) as first:
                held = await roll.publish()
            with statements(world.engine) as again:
                await roll.publish()
            assert len(held.held) == 2 * count
            found.append([first[0], again[0]])
        return found

    one, ten = in_a_world(database_url, work)
    assert (one, True) == (ten, one[1] < 20)


@contextmanager
def statements(engine: AsyncEngine) -> Iterator[list[int]]:
    """How many statements go to the database meanwhile."""
    count = [0]

    def counted(*_: object) -> None:
        count[0] += 1

    sqlalchemy.event.listen(engine.sync_engine, "before_cursor_execute", counted)
    try:
        yield count
    finally:
        sqlalchemy.event.remove(engine.sync_engine, "before_cursor_execute", counted)
