"""What hosts send: once, in order, durable when answered."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

import api.services.ingest as ingesting
from api.database import make_engine, migrate, snapshot, transaction
from api.errors import Forbidden, TryLater
from api.models import change_feed, event, host_identity, host_status, report
from api.moments import micros
from api.services.ingest import Ingest, store
from desired_state.names import digest_of
from desired_state.report import Condition, Delivery, Heartbeat, Report, Status
from tests.api.signing import NOW, SigningHost
from tests.core.newer import of_a_newer_version


def a_report(host: str = "alpha", seq: int = 1, *, run: str = "", revision: int = 1, **more: Any) -> Report:
    """A report; the same arguments make the same id."""
    ready = Condition(type="Ready", status="True", reason="Converged", message="", since=NOW)
    fields: dict[str, Any] = {"sync": "synced", "health": "healthy", "mode": "enforce", **more}
    status = Status(host=host, applied_revision=revision, conditions=(ready,), **fields)
    return Report(
        schema="towline.report/1",
        id=digest_of(f"{host} {seq} {run}".encode()),
        host=host,
        seq=seq,
        at=NOW,
        status=status,
    )


def a_beat(seq: int, host: str = "alpha") -> Delivery:
    """A heartbeat alone."""
    return Delivery(heartbeat=Heartbeat(schema="towline.heartbeat/1", host=host, seq=seq, at=NOW))


def reporting(*reports: Report) -> Delivery:
    """A delivery of reports."""
    return Delivery(reports=reports)


class Door:
    """An ingest on a fresh database where alpha and beta are enrolled, with a clock that a test sets."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.now = NOW
        self.ingest = Ingest(engine, lambda: self.now)

    async def later(self, host: str, delivery: Delivery, minutes: int = 1) -> None:
        """Deliver so much later."""
        self.now += timedelta(minutes=minutes)
        await self.ingest.submit(host, delivery)

    async def value(self, question: Any) -> Any:
        """One value of the database."""
        async with snapshot(self.engine) as connection:
            return await connection.scalar(question)

    async def row(self, host: str = "alpha") -> Any:
        """What is known of a host: seq, revision, minutes since the start when it was seen."""
        async with snapshot(self.engine) as connection:
            question = select(host_status).where(host_status.c.host == host)
            row = (await connection.execute(question)).one()
        return row.seq, row.applied_revision, (row.seen_us - micros(NOW)) // 60_000_000


def at_the_door(url: str, work: Callable[[Door], Awaitable[Any]]) -> Any:
    """Run this on a migrated database."""

    async def run() -> Any:
        engine = make_engine(url, pooled=False)
        try:
            await migrate(engine)
            async with transaction(engine) as connection:
                await SigningHost("alpha").enrol(connection, NOW - timedelta(days=1))
                await SigningHost("beta", b"c").enrol(connection, NOW - timedelta(days=1))
            return await work(Door(engine))
        finally:
            await engine.dispose()

    return asyncio.run(run())


def test_what_is_answered_is_stored(database_url: str) -> None:
    """The receipt names the reports, and they are there as they were sent."""
    one = a_report()

    async def work(door: Door) -> tuple[object, object]:
        receipt = await door.ingest.submit("alpha", reporting(one))
        return receipt.accepted, msgspec.json.decode(await door.value(select(report.c.body)), type=Report)

    assert at_the_door(database_url, work) == ((one.id,), one)


def test_a_newer_agent_is_heard(database_url: str) -> None:
    """What an agent sends that is newer than this backend is stored, without the fields that nobody knows here."""
    one = a_report()

    async def work(door: Door) -> tuple[object, object]:
        delivery = ingesting.read_delivery(of_a_newer_version(reporting(one)))
        receipt = await door.ingest.submit("alpha", delivery)
        return receipt.accepted, msgspec.json.decode(await door.value(select(report.c.body)), type=Report)

    assert at_the_door(database_url, work) == ((one.id,), one)


def test_the_receipt_tells_which_report_counts(database_url: str) -> None:
    """The number of the newest report that is gone by, also when an older one, or only a heartbeat, came."""

    async def work(door: Door) -> list[int | None]:
        sent = [a_beat(3), reporting(a_report(seq=7)), reporting(a_report(seq=5)), a_beat(5)]
        return [(await door.ingest.submit("alpha", delivery)).newest_seq for delivery in sent]

    assert at_the_door(database_url, work) == [0, 7, 7, 7]


def test_whoever_sends_again_at_once_is_answered(database_url: str) -> None:
    """A host that sends the next report in the moment of its answer finds a writer, also when the last just ended."""

    async def send(door: Door, host: str) -> None:
        for seq in range(1, 6):
            await door.ingest.submit(host, reporting(a_report(host, seq)))

    async def work(door: Door) -> int:
        async with asyncio.timeout(30):
            await asyncio.gather(send(door, "alpha"), send(door, "beta"))
        return int(await door.value(select(func.count()).select_from(report)))

    assert at_the_door(database_url, work) == 10


def test_a_report_that_comes_twice_is_stored_once(database_url: str) -> None:
    """Sent again because the answer was lost: accepted again, one row."""

    async def work(door: Door) -> tuple[int, int]:
        receipts = [await door.ingest.submit("alpha", reporting(a_report())) for _ in range(2)]
        return len(receipts[1].accepted), await door.value(select(func.count()).select_from(report))

    assert at_the_door(database_url, work) == (1, 1)


def test_an_older_report_changes_nothing_newer(database_url: str) -> None:
    """Report 1 arrives after report 2: kept, but the status stays that of 2."""

    async def work(door: Door) -> tuple[Any, int]:
        await door.ingest.submit("alpha", reporting(a_report(seq=2, revision=2)))
        await door.ingest.submit("alpha", reporting(a_report(seq=1, revision=1)))
        return (await door.row())[:2], await door.value(select(func.count()).select_from(report))

    assert at_the_door(database_url, work) == ((2, 2), 2)


def test_the_newest_report_of_a_delivery_counts(database_url: str) -> None:
    """An outbox that is emptied at once leaves the status of its last report, in whatever order it comes."""

    async def work(door: Door) -> Any:
        reports = [a_report(seq=n, revision=n) for n in (2, 3, 1)]
        await door.ingest.submit("alpha", reporting(*reports))
        return (await door.row())[:2]

    assert at_the_door(database_url, work) == (3, 3)


def test_a_heartbeat_of_what_we_know_makes_it_fresh(database_url: str) -> None:
    """The evidence is as young as the heartbeat that confirms it."""

    async def work(door: Door) -> Any:
        await door.ingest.submit("alpha", reporting(a_report(seq=3)))
        await door.later("alpha", a_beat(3))
        return await door.row()

    assert at_the_door(database_url, work) == (3, 1, 1)


def test_a_heartbeat_of_what_we_do_not_know_proves_nothing(database_url: str) -> None:
    """The host has a newer report that we lack: what we have is not made fresh."""

    async def work(door: Door) -> Any:
        await door.ingest.submit("alpha", reporting(a_report(seq=3)))
        await door.later("alpha", a_beat(4))
        return await door.row()

    assert at_the_door(database_url, work) == (3, 1, 0)


def test_a_heartbeat_writes_no_row(database_url: str) -> None:
    """A week of passes with nothing to do grows nothing, and wakes no page."""

    async def count(door: Door) -> list[int]:
        return [await door.value(select(func.count()).select_from(table)) for table in (report, change_feed, event)]

    async def work(door: Door) -> bool:
        await door.ingest.submit("alpha", reporting(a_report(seq=3)))
        before = await count(door)
        for _ in range(5):
            await door.later("alpha", a_beat(3))
        return before == await count(door)

    assert at_the_door(database_url, work) is True


def test_open_pages_hear_of_what_they_show(database_url: str) -> None:
    """The feed names a host when its state changed, and is silent when a report says the same again."""

    async def work(door: Door) -> list[str]:
        await door.ingest.submit("alpha", reporting(a_report(seq=1)))
        await door.ingest.submit("alpha", reporting(a_report(seq=2)))
        await door.ingest.submit("alpha", reporting(a_report(seq=3, health="degraded")))
        await door.ingest.submit("beta", reporting(a_report("beta")))
        async with snapshot(door.engine) as connection:
            return list(await connection.scalars(select(change_feed.c.subject).order_by(change_feed.c.id)))

    assert at_the_door(database_url, work) == ["alpha", "alpha", "beta"]


@pytest.mark.parametrize("delivery", [reporting(a_report("beta")), a_beat(1, "beta")])
def test_a_host_speaks_for_itself_only(database_url: str, delivery: Delivery) -> None:
    """Whatever the body says: the host is who signed."""

    async def work(door: Door) -> int:
        with pytest.raises(Forbidden):
            await door.ingest.submit("alpha", delivery)
        return await door.value(select(func.count()).select_from(report))

    assert at_the_door(database_url, work) == 0


def test_a_host_cannot_occupy_another_ones_report(database_url: str) -> None:
    """Alpha sends a report under the id that beta's will have: beta's is stored all the same."""
    victim = a_report("beta")
    thief = msgspec.structs.replace(a_report("alpha"), id=victim.id)

    async def work(door: Door) -> Any:
        await door.ingest.submit("alpha", reporting(thief))
        await door.ingest.submit("beta", reporting(victim))
        return (await door.row("beta"))[:2]

    assert at_the_door(database_url, work) == (1, 1)


def test_two_senders_under_one_identity_are_noticed(database_url: str) -> None:
    """One number, two reports: the audit log says so, once an hour, and the host is marked."""

    async def work(door: Door) -> tuple[list[str], int]:
        for run in ("a", "b", "c"):
            await door.ingest.submit("alpha", reporting(a_report(run=run)))
        async with snapshot(door.engine) as connection:
            actions = list(await connection.scalars(select(event.c.action)))
        marked = await door.value(select(host_identity.c.clone_seen_us).where(host_identity.c.host == "alpha"))
        return actions, marked - micros(NOW)

    assert at_the_door(database_url, work) == (["host.cloned"], 0)


def test_a_host_that_enrolled_anew_counts_from_one_again(database_url: str) -> None:
    """Its old numbers mean nothing: report 1 replaces report 40, and nobody speaks of clones."""

    async def work(door: Door) -> tuple[Any, int]:
        await door.ingest.submit("alpha", reporting(*[a_report(seq=n, revision=n) for n in (1, 40)]))
        async with transaction(door.engine) as connection:
            await connection.execute(host_identity.update().values(enrolled_at_us=micros(NOW + timedelta(hours=1))))
        await door.later("alpha", reporting(a_report(seq=1, run="new", revision=50)), minutes=120)
        return (await door.row())[:2], await door.value(select(func.count()).select_from(event))

    assert at_the_door(database_url, work) == ((1, 50), 0)


def test_many_at_once_are_all_stored(database_url: str) -> None:
    """Deliveries that come together share transactions, and each gets its own receipt."""

    async def work(door: Door) -> tuple[bool, int]:
        reports = [a_report(host, seq=n) for host in ("alpha", "beta") for n in range(1, 151)]
        receipts = await asyncio.gather(*(door.ingest.submit(one.host, reporting(one)) for one in reports))
        mine = all(receipt.accepted == (one.id,) for receipt, one in zip(receipts, reports, strict=True))
        return mine, await door.value(select(func.count()).select_from(report))

    assert at_the_door(database_url, work) == (True, 300)


def test_one_that_cannot_be_stored_does_not_fail_the_others(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery that breaks the transaction gets the error; its neighbours are stored."""

    async def poisoned(connection: Any, deliveries: Any, now: Any) -> None:
        if any(host == "beta" for host, _ in deliveries):
            raise RuntimeError("poison")
        await store(connection, deliveries, now)

    monkeypatch.setattr(ingesting, "store", poisoned)

    async def work(door: Door) -> tuple[str, int]:
        answers = await asyncio.gather(
            door.ingest.submit("alpha", reporting(a_report())),
            door.ingest.submit("beta", reporting(a_report("beta"))),
            return_exceptions=True,
        )
        return str(answers[1]), await door.value(select(func.count()).select_from(report))

    assert at_the_door(database_url, work) == ("poison", 1)


def test_too_many_are_told_to_come_again(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded: beyond it a host is told when to try, and nothing of its delivery is kept."""
    monkeypatch.setattr(ingesting, "MAX_WAITING", 1)

    async def work(door: Door) -> list[object]:
        answers = await asyncio.gather(
            *(door.ingest.submit("alpha", reporting(a_report(seq=n))) for n in (1, 2)), return_exceptions=True
        )
        return [type(answers[1]), await door.value(select(func.count()).select_from(report))]

    assert at_the_door(database_url, work) == [TryLater, 1]


def test_replicas_that_store_the_same_report_at_once_store_it_once(database_url: str) -> None:
    """A host's retry reaches the other replica while the first is still writing: both answer, one row."""

    async def work(door: Door) -> tuple[int, int]:
        doors = [Ingest(door.engine, lambda: NOW) for _ in range(4)]
        receipts = await asyncio.gather(*(one.submit("alpha", reporting(a_report())) for one in doors))
        return len(receipts), await door.value(select(func.count()).select_from(report))

    assert at_the_door(database_url, work) == (4, 1)


def test_a_database_that_is_away_fails_the_delivery(database_url: str) -> None:
    """Nothing is answered that is not stored."""

    async def work(_: Door) -> object:
        gone = Ingest(make_engine("mysql://nobody@127.0.0.1:1/none", pooled=False))
        with pytest.raises(TryLater):
            await gone.submit("alpha", reporting(a_report()))
        return "told"

    assert at_the_door(database_url, work) == "told"
