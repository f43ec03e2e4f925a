"""Who waits for a member of a cluster is told: as an event, in the lists, on the pages and in the metrics."""

import json
from typing import Any

from sqlalchemy import insert, select

from api.database import snapshot, transaction
from api.metrics import metrics_text
from api.models import event, host_identity
from api.publish.rolls import Hold
from api.services.fleet import Asked, fleet
from api.services.host_detail import host_detail
from api.services.hosts import known
from api.services.service_detail import service_detail
from api.tally import Tally
from desired_state.report import Condition
from tests.api.fleet_world import World, in_a_world
from tests.api.rolling_world import HOSTS, LAST, begun, formed, reasons


def test_who_waits_and_who_goes_on_is_told_as_events(database_url: str) -> None:
    """One for each cluster whenever that changes."""

    async def work(world: World) -> list[tuple[str, str]]:
        roll = await begun(world)
        for host in ("b", "c", "a"):
            await roll.report(host)
            await roll.publish()
            await roll.publish()
        async with snapshot(world.engine) as connection:
            rows = await connection.execute(select(event.c.action, event.c.detail).order_by(event.c.id))
            return [(row.action, row.detail.decode()) for row in rows if row.action.startswith("cluster.")]

    b, c = LAST.format("b", 2), LAST.format("c", 2)
    assert [
        ("cluster.held", f'{{"held":"a, c","message":"{b}"}}'),
        ("cluster.held", f'{{"held":"a","message":"{c}","released":"c"}}'),
        ("cluster.released", '{"message":"nothing waits any more","released":"a"}'),
    ] == in_a_world(database_url, work)


def test_a_member_that_fails_again_in_other_words_is_no_other_event(database_url: str) -> None:
    """What it says has pids and times; the event is that the cluster waits for it; pages have its newest words."""

    async def work(world: World) -> Any:
        roll = await begun(world)
        told = []
        for pid in (17, 18):
            since = world.now
            failed = Condition(
                type="Stalled", status="True", reason="StepFailed", message=f"pid {pid} died", since=since
            )
            await roll.report("b", conditions=(failed,), applied_revision=1, sync="behind")
            told.append(reasons(await roll.publish())["a"])
        async with snapshot(world.engine) as connection:
            rows = await connection.scalars(select(event.c.detail).where(event.c.action == "cluster.held"))
            return told, [row.decode() for row in rows]

    why = "waits for b: it has not reached revision 2"
    told, events = in_a_world(database_url, work)
    assert [[f"{why}: pid 17 died"], [f"{why}: pid 18 died"]] == told
    assert [LAST.format("b", 2), f"{why}: pid 17 died"] == [json.loads(detail)["message"] for detail in events]


def test_of_a_long_message_the_middle_is_left_out(database_url: str) -> None:
    """What failed stands at its beginning, and why at its end."""

    async def work(world: World) -> str:
        roll = await begun(world)
        message = f"start failed: {'log ' * 200}cannot bind"
        failed = Condition(type="Stalled", status="True", reason="StepFailed", message=message, since=world.now)
        await roll.report("b", conditions=(failed,), applied_revision=1, sync="behind")
        return (await roll.publish()).held["a"][0].words

    words = in_a_world(database_url, work)
    assert (True, True) == (words.startswith("start failed: log"), words.endswith("log cannot bind"))
    assert len(words) <= 310


def test_a_host_on_which_something_is_held_is_not_converged(database_url: str) -> None:
    """The list of hosts, the host, the service and the metrics say so; it is published and applied, and not all."""

    async def work(world: World) -> Any:
        roll = await formed(world)
        await enrolled(world)
        await roll.declare(version="2")
        lines = {line.host: line for line in (await fleet(world.engine, Asked(), now=world.now)).lines}
        host = await host_detail(world.engine, "c", now=world.now)
        service = await service_detail(world.engine, "queue", now=world.now)
        return (
            (lines["c"].standing.word.value, lines["c"].standing.sentence),
            host.line.held,
            {line.host: line.held for line in service.hosts},
            {one.host: one.held for one in await known(world.engine, now=world.now)},
            b"towline_hosts_held 2.0" in metrics_text(Tally(), lines.values()),
        )

    said = LAST.format("b", 2)
    hold = Hold(service="queue", on="b", reason=said)
    listed = {"a": (hold,), "b": (), "c": (hold,), "d": ()}
    wanted = (("converging", f"queue {said}"), (hold,), {"a": said, "b": "", "c": said}, listed, True)
    assert wanted == in_a_world(database_url, work)


async def enrolled(world: World) -> None:
    """The hosts, as if they had enrolled."""
    keys = {"identity_key": "", "sealing_key": "", "enrolled_at_us": 0, "agent_version": ""}
    async with transaction(world.engine) as connection:
        await connection.execute(insert(host_identity), [{"host": host.host, **keys} for host in HOSTS])
