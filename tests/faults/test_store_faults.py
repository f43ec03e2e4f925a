"""A disk that fails or is full: whatever write it hits, the host converges afterwards and nothing is done twice."""

import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from puller.store import Store
from tests.fakes.puller import FakePuller, condition, on_a_host, running

SERVICES = ("one", "two")
WRITES = range(1, 13)
"""A convergence of two services has twelve transactions and a few more."""


def failing_at(monkeypatch: pytest.MonkeyPatch, nth: int, *, after: bool) -> Callable[[], bool]:
    """The n-th transaction fails: before it did anything, or after its commit (the answer is lost)."""
    count, real = 0, Store.transact

    async def transact(self: Store, question: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        is_hit = count == nth
        if is_hit and not after:
            raise sqlite3.OperationalError("disk I/O error")
        result = await real(self, question, *args, **kwargs)
        if is_hit:
            raise sqlite3.OperationalError("disk I/O error")
        return result

    monkeypatch.setattr(Store, "transact", transact)
    return lambda: count >= nth


async def check(p: FakePuller) -> None:
    """Converged, no step run twice, every step told once, the database sound."""
    end = await p.run_pass()
    assert "Converged" == condition(end.status, "Ready").reason
    assert {1} == set(Counter(p.host.calls).values())
    steps = [s for r in p.sink.reports.values() if r.run for s in r.run.steps]
    told = Counter((s.service, s.verb) for s in steps if s.outcome == "done")
    assert dict.fromkeys(p.host.calls, 1) == told
    assert [(seq,) for seq in range(1, len(p.sink.reports) + 1)] == sorted((r.seq,) for r in p.sink.reports.values())
    assert ("ok",) == await p.store.read(lambda db: db.execute("PRAGMA integrity_check").fetchone())


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("nth", WRITES)
def test_any_write_may_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int, after: bool) -> None:
    """The n-th transaction of a convergence fails; another puller goes on from what is on the disk."""

    async def story(p: FakePuller) -> None:
        p.publish(*(running(name) for name in SERVICES))
        fired = failing_at(monkeypatch, nth, after=after)
        with pytest.raises((sqlite3.OperationalError, BaseExceptionGroup)):
            await p.run_pass()
        assert fired()
        monkeypatch.undo()
        p.restart()
        await check(p)

    on_a_host(tmp_path, story)


def test_a_full_disk(tmp_path: Path) -> None:
    """With no page left nothing is half written; with room again the pass goes on."""

    async def story(p: FakePuller) -> None:
        p.publish(*(running(name) for name in SERVICES))
        pages = (await p.store.read(lambda db: db.execute("PRAGMA page_count").fetchone()))[0]
        await p.store.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises((sqlite3.OperationalError, BaseExceptionGroup)):
            await p.run_pass()
        await p.store.execute("PRAGMA max_page_count = 1000000")
        p.restart()
        await check(p)

    on_a_host(tmp_path, story)
