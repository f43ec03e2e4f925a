"""The store: what is durable together, what is undone together, what grows and what does not."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from desired_state.acceptance import Ratchet
from desired_state.contract import Verb
from desired_state.names import digest_of
from desired_state.report import Report, Run, Status, StepResult
from desired_state.step import Step
from puller.ports import Stalled
from puller.store import Store, documents, inventory, journal, open_store, outbox, read_store
from puller.store.documents import BadRevision, Held
from puller.store.journal import KEPT_STEPS, OpenRun
from puller.store.schema import MIGRATIONS

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
RUN = OpenRun(id="run-000001", trigger="schedule", started_at=NOW)


def with_store(tmp_path: Path, work: Callable[[Store], Awaitable[None]]) -> None:
    async def opened() -> None:
        store = await open_store(tmp_path / "state" / "towline.db")
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(opened())


def held(revision: int, *, epoch: int = 1, text: bytes = b"note") -> Held:
    digest = digest_of(text + str((epoch, revision)).encode())
    return Held(epoch=epoch, revision=revision, digest=digest, note=text, tag="tag", origin="memory", at=NOW)


def step(number: int = 1, service: str = "one") -> Step:
    return Step(
        id=digest_of(str(number).encode()),
        service=service,
        kind="trivial",
        verb=Verb.START,
        intent="intended",
        reasons=("because",),
    )


def result(of: Step) -> StepResult:
    return StepResult(id=of.id, service=of.service, verb=of.verb, intent=of.intent, outcome="done")


async def begin(store: Store, of: Step) -> journal.Journalled:
    options = {"folder": "run/one", "timeout_s": 10, "document": digest_of(b"document"), "at": NOW}
    return await store.transact(journal.start, RUN, of, **options)


def report(seq: int, words: str = "") -> Report:
    status = Status(host="app-1.example", sync="synced", health="healthy", mode="enforce", refused=words)
    return Report(
        schema="towline.report/1",
        id=digest_of(str(seq).encode()),
        host="app-1.example",
        seq=seq,
        at=NOW,
        status=status,
    )


def test_the_database_is_durable_and_private(tmp_path: Path) -> None:
    """WAL, a full sync at each commit, and nobody else may read it."""

    async def work(store: Store) -> None:
        assert "wal" == (await store.read(lambda db: db.execute("PRAGMA journal_mode").fetchone()))[0]
        assert 2 == (await store.read(lambda db: db.execute("PRAGMA synchronous").fetchone()))[0]
        assert 0o600 == (tmp_path / "state/towline.db").stat().st_mode & 0o777

    with_store(tmp_path, work)


def test_a_transaction_that_raises_leaves_nothing(tmp_path: Path) -> None:
    """What a question wrote before it failed is undone, and the next one works."""

    def half(db: sqlite3.Connection) -> None:
        outbox.beat(db, NOW)
        raise ValueError("in the middle")

    async def work(store: Store) -> None:
        with pytest.raises(ValueError, match="in the middle"):
            await store.transact(half)
        assert await store.read(outbox.last_pass) is None
        await store.transact(outbox.beat, NOW)

    with_store(tmp_path, work)


def test_a_cancelled_wait_does_not_break_a_transaction(tmp_path: Path) -> None:
    """Who stops waiting does not stop the database: the transaction is whole, and the connection is free."""

    async def work(store: Store) -> None:
        waiting = asyncio.create_task(store.transact(outbox.beat, NOW))
        await asyncio.sleep(0)
        waiting.cancel()
        await store.transact(outbox.put, report(1), send=True)
        assert NOW == await store.read(outbox.last_pass)

    with_store(tmp_path, work)


def test_the_ratchet_only_rises(tmp_path: Path) -> None:
    """A document below the ratchet, kept by mistake, does not lower it; a higher epoch outweighs every revision."""

    async def work(store: Store) -> None:
        for document in (held(7), held(3), held(1, epoch=2)):
            await store.transact(documents.accept, document)
        expected = Ratchet(epoch=2, revision=1, digest=held(1, epoch=2).digest)
        assert expected == await store.read(documents.ratchet)

    with_store(tmp_path, work)


def test_a_newer_document_ends_the_memory_of_a_bad_one(tmp_path: Path) -> None:
    """A bad revision is remembered while it is the newest, also when it is fetched again."""

    async def work(store: Store) -> None:
        bad = BadRevision(digest=held(2).digest, revision=2, service="one", message="broken", since=NOW)
        await store.transact(documents.accept, held(2))
        await store.transact(documents.mark_bad, bad)
        await store.transact(documents.accept, held(2))
        assert bad == await store.read(documents.bad_revision)
        await store.transact(documents.accept, held(3))
        assert await store.read(documents.bad_revision) is None

    with_store(tmp_path, work)


def test_a_started_step_is_there_after_a_crash(tmp_path: Path) -> None:
    """Another process finds the step that was begun, with all it needs to find out how it ended."""

    async def work(store: Store) -> None:
        begun = await begin(store, step())
        other = read_store(tmp_path / "state/towline.db")
        assert [begun] == journal.started(other)
        assert RUN == journal.open_run(other)
        other.close()

    with_store(tmp_path, work)


def test_a_step_and_its_record_are_one(tmp_path: Path) -> None:
    """A step whose record cannot be written is not done."""

    async def work(store: Store) -> None:
        begun = await begin(store, step())
        with pytest.raises(AttributeError):
            await store.transact(journal.finish, begun.n, result(begun.step), object())  # type: ignore[arg-type]
        assert [begun] == await store.read(journal.started)
        assert {} == await store.read(inventory.record)

    with_store(tmp_path, work)


def test_a_lost_step_makes_the_next_try_a_repeat(tmp_path: Path) -> None:
    """Only a try after one that nobody knows the end of is marked, and only for that service and verb."""

    async def work(store: Store) -> None:
        first = await begin(store, step(1))
        await store.transact(journal.lose, first.n, result(first.step))
        again, other = await begin(store, step(2)), await begin(store, step(3, "two"))
        assert [False, True, False] == [first.repeated, again.repeated, other.repeated]
        await store.transact(journal.finish, again.n, result(again.step), None)
        assert not (await begin(store, step(4))).repeated

    with_store(tmp_path, work)


def test_the_journal_does_not_grow(tmp_path: Path) -> None:
    """After many runs only the newest steps are left; those of an open run always are."""

    async def work(store: Store) -> None:
        for number in range(KEPT_STEPS + 50):
            begun = await begin(store, step(number))
            await store.transact(journal.finish, begun.n, result(begun.step), None)
        assert KEPT_STEPS + 50 == len(await store.read(journal.unreported))
        await store.transact(journal.close_run)
        count = await store.read(lambda db: db.execute("SELECT count(*) FROM step").fetchone()[0])
        assert (KEPT_STEPS, []) == (count, await store.read(journal.unreported))

    with_store(tmp_path, work)


def test_only_what_was_confirmed_leaves_the_outbox(tmp_path: Path) -> None:
    """Reports wait in order until the backend names them; a confirmation of others changes nothing."""

    async def work(store: Store) -> None:
        for seq in (1, 2, 3):
            await store.transact(outbox.put, report(seq), send=True)
        await store.transact(outbox.confirm, [report(2).id, digest_of(b"unknown")])
        assert [1, 3] == [waiting.seq for waiting in await store.read(outbox.waiting)]

    with_store(tmp_path, work)


def test_a_delivery_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large reports travel in several deliveries, each with one at least."""
    monkeypatch.setattr(outbox, "MAX_DELIVERY_BYTES", 2000)

    async def work(store: Store) -> None:
        for seq in range(1, 6):
            await store.transact(outbox.put, report(seq, "x" * 500), send=True)
        assert [1, 2] == [waiting.seq for waiting in await store.read(outbox.waiting)]

    with_store(tmp_path, work)


def test_a_week_without_a_backend_fits(tmp_path: Path) -> None:
    """A thousand reports of a host with failing steps stay below ten megabytes."""
    log = "\n".join(f"line {n}: no space left on device /dev/sda{n}" for n in range(150))
    failed = StepResult(id=step().id, service="one", verb=Verb.INSTALL, intent="intended", outcome="failed", log=log)

    async def work(store: Store) -> None:
        def fill(db: sqlite3.Connection) -> None:
            run = Run(id="run-000001", trigger="retry", started_at=NOW, duration_ms=1, steps=(failed,))
            for seq in range(1, 1001):
                outbox.put(db, replace(report(seq), run=run), send=True)

        await store.transact(fill)
        assert 1000 == await store.read(outbox.backlog)

    with_store(tmp_path, work)
    assert (tmp_path / "state/towline.db").stat().st_size < 10 << 20


def test_a_file_of_a_newer_puller_is_refused(tmp_path: Path) -> None:
    """An old puller does not write into what it does not understand, and says what to do."""
    path = tmp_path / "towline.db"
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

    async def work() -> None:
        await open_store(path)

    with pytest.raises(Stalled, match="Install the newer agent again"):
        asyncio.run(work())


def test_moments_are_exact(tmp_path: Path) -> None:
    """A moment comes back as it was, to the microsecond."""
    odd = NOW + timedelta(microseconds=123457)

    async def work(store: Store) -> None:
        await store.transact(outbox.beat, odd)
        assert odd == await store.read(outbox.last_pass)

    with_store(tmp_path, work)
