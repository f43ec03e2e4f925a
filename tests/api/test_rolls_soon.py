"""A report for which a cluster waits makes the publisher look at once, and not at its next turn."""

import asyncio
from typing import Any

from api.publish.rolls import Hold
from api.schedule import Schedule
from api.server import Publishing
from api.services.ingest import Ingest
from api.services.publishing import Publication
from desired_state.report import Delivery, Heartbeat
from tests.api.fleet_world import World, in_a_world


def test_who_reports_is_told_once_that_is_durable(database_url: str) -> None:
    """So that whoever waits for it need not wait for a timer."""

    async def work(world: World) -> Any:
        told: list[set[str]] = []
        ingest = Ingest(world.engine, lambda: world.now)
        ingest.reported = lambda hosts: told.append(set(hosts))
        beat = Heartbeat(schema="towline.heartbeat/1", host="a", seq=0, at=world.now)
        await ingest.submit("a", Delivery(heartbeat=beat))
        return told

    assert [{"a"}] == in_a_world(database_url, work)


def test_the_publisher_waits_for_those_that_its_clusters_wait_for() -> None:
    """For whom something is held, and for whose report."""

    class Backend:
        """Publishes as the test says."""

        async def publish(self, *, verify: bool) -> Publication:
            """The next answer."""
            return answers.pop(0)

    async def work() -> list[list[bool]]:
        publishing = Publishing(Backend())  # type: ignore[arg-type]
        found = []
        for _ in range(2):
            await publishing.publish()
            found.append([publishing.waits_for({host}) for host in "abx"])
        return found

    answers = [Publication(held={"a": (Hold(service="queue", on="b", reason="waits for b"),)}), Publication()]
    assert [[True, True, False], [False, False, False]] == asyncio.run(work())


def test_a_job_can_be_called_soon() -> None:
    """Before its time, and without losing it."""

    async def work() -> bool:
        called = asyncio.Event()

        async def job() -> None:
            called.set()

        schedule = Schedule()
        schedule.every(3600, "job", job)
        schedule.start()
        for _ in range(2):
            await asyncio.wait_for(called.wait(), 60)
            called.clear()
            schedule.soon("job")
        await asyncio.wait_for(called.wait(), 60)
        await schedule.stop()
        return True

    assert asyncio.run(work()) is True


def test_a_job_that_runs_is_called_once_more() -> None:
    """What came while it looked may be what it has not seen."""

    async def work() -> int:
        calls: list[int] = []
        began, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def job() -> None:
            calls.append(1)
            began.set()
            await go_on.wait()
            if len(calls) == 2:
                ended.set()

        schedule = Schedule()
        schedule.every(3600, "job", job)
        schedule.start()
        await asyncio.wait_for(began.wait(), 60)
        for _ in range(3):
            schedule.soon("job")
        go_on.set()
        await asyncio.wait_for(ended.wait(), 60)
        await schedule.stop()
        return len(calls)

    assert 2 == asyncio.run(work())


def test_a_soon_that_nobody_knows_is_nothing() -> None:
    """A report may come before the timers are there."""
    assert Schedule().soon("publish") is None
