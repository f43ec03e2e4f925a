"""A migration, forward and back, that is killed or runs out of room anywhere: one version or the other, never half."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from puller.store.schema import Migration, migrate
from tests.fakes.real_host import CHECKOUT
from tests.fakes.schemas import NEWER, NOW, schema_of

WAYS = [pytest.param(NOW, NEWER, id="forward"), pytest.param(NEWER, NOW, id="back")]
Versions = tuple[Migration, ...]


def made(path: Path, migrations: Versions) -> None:
    """A file of that version, with rows in it."""
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("PRAGMA journal_mode = WAL")
        migrate(db, NOW)
        db.executemany("INSERT INTO record VALUES (?, x'7b7d')", [(f"s{n}",) for n in range(200)])
        migrate(db, migrations)


def tables_of(migrations: Versions) -> list[str]:
    """The tables of a version that was reached without a fault, the way a host reaches it."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate(db, NEWER)
    migrate(db, migrations)
    return schema_of(db)


def is_whole(path: Path, before: Versions, after: Versions) -> bool:
    """Whether the file is of one of the two; and it can be brought to the other."""
    with sqlite3.connect(path, isolation_level=None) as db:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        is_after = version == len(after)
        rows = db.execute("SELECT count(*) FROM record").fetchone()[0]
        assert (200, [("ok",)]) == (rows, db.execute("PRAGMA integrity_check").fetchall())
        assert {len(before): tables_of(before), len(after): tables_of(after)}[version] == schema_of(db)
        migrate(db, after)
        assert tables_of(after) == schema_of(db)
    return is_after


@pytest.mark.parametrize(("before", "after"), WAYS)
def test_killed_at_every_statement(tmp_path: Path, before: Versions, after: Versions) -> None:
    """kill -9 at each statement of the migration, until one gets through."""
    outcomes = []
    for nth in range(40):
        path = tmp_path / f"{nth}.db"
        made(path, before)
        command = [sys.executable, "-m", "tests.fakes.schemas", str(path), str(len(after)), str(nth)]
        # nox says where `tests` is found, and nothing else of the checkout: then the installed puller is what runs.
        modules = {"PYTHONPATH": os.environ.get("PYTHONPATH", str(CHECKOUT)), "PYTHONSAFEPATH": "1"}
        ended = subprocess.run(command, env=os.environ | modules, cwd=CHECKOUT, check=False)
        assert ended.returncode in (0, -signal.SIGKILL)
        outcomes.append(is_whole(path, before, after))
        if ended.returncode == 0:
            break
    assert (False, True) == (outcomes[0], outcomes[-1])
    assert len(outcomes) > 6


@pytest.mark.parametrize(("before", "after"), WAYS)
def test_no_room_at_every_page(tmp_path: Path, before: Versions, after: Versions) -> None:
    """With each number of free pages, from none, until it fits."""
    for room in range(40):
        path = tmp_path / f"{room}.db"
        made(path, before)
        db = sqlite3.connect(path, isolation_level=None)
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages + room}")
        fits = True
        try:
            migrate(db, after)
        except sqlite3.OperationalError as error:
            assert "full" in str(error)  # noqa: PT017 - the next number of pages may be enough
            fits = False
        db.close()
        assert fits == is_whole(path, before, after)
        if fits:
            break
    assert fits
