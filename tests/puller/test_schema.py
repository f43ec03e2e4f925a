"""The tables go forward from any version, and back by one."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from puller import commands
from puller.paths import Paths
from puller.ports import Stalled
from puller.single_flight import SingleFlight
from puller.store import open_store, schema
from puller.store.schema import MIGRATIONS, migrate, statements
from tests.fakes.schemas import NEWER, NEXT, NOW, ONE_WAY, TWO_AHEAD, schema_of


@pytest.fixture
def db(tmp_path: Path):
    """A file of this version, with a row in it."""
    opened = sqlite3.connect(tmp_path / "towline.db", isolation_level=None)
    migrate(opened, NOW)
    opened.execute("INSERT INTO record VALUES ('one', x'7b7d')")
    yield opened
    opened.close()


def version(db: sqlite3.Connection) -> int:
    return db.execute("PRAGMA user_version").fetchone()[0]


def test_every_migration_has_a_way_back() -> None:
    """All but the first, and each leads to exactly the tables that were there before."""
    for number in range(1, len(MIGRATIONS)):
        before, after = (
            sqlite3.connect(":memory:", isolation_level=None),
            sqlite3.connect(":memory:", isolation_level=None),
        )
        migrate(before, MIGRATIONS[:number])
        migrate(after, MIGRATIONS[: number + 1])
        migrate(after, MIGRATIONS[:number])
        assert schema_of(before) == schema_of(after)


def test_there_and_back(db: sqlite3.Connection) -> None:
    """What the older version knew is as it was; and forward again."""
    before = schema_of(db)
    migrate(db, NEWER)
    assert [("one", "grey;")] == db.execute("SELECT service, colour FROM record").fetchall()
    migrate(db, NOW)
    assert (before, [("one", b"{}")]) == (schema_of(db), db.execute("SELECT * FROM record").fetchall())
    migrate(db, NEWER)
    assert len(NEWER) == version(db)


def test_by_one_version_only(db: sqlite3.Connection) -> None:
    """Two ahead a person is asked, and nothing was touched; one ahead of the next is its business."""
    migrate(db, TWO_AHEAD)
    before = schema_of(db)
    with pytest.raises(Stalled, match="goes back by one version"):
        migrate(db, NOW)
    assert (before, len(TWO_AHEAD)) == (schema_of(db), version(db))
    migrate(db, NEWER)
    assert len(NEWER) == version(db)


def test_without_a_way_back_a_person_is_asked(db: sqlite3.Connection) -> None:
    """A newer version that left none: nothing is guessed."""
    migrate(db, (*NOW, ONE_WAY))
    with pytest.raises(Stalled, match="Install the newer agent again"):
        migrate(db, NOW)
    assert len(NOW) + 1 == version(db)


def test_a_way_back_that_fails_changes_nothing(db: sqlite3.Connection) -> None:
    """Half a way is no way: the file stays of the newer version, whole."""
    migrate(db, NEWER)
    db.execute("UPDATE way_back SET sql = 'DROP TABLE painted; DROP TABLE not_there;'")
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, NOW)
    assert (len(NEWER), 1) == (version(db), db.execute("SELECT count(*) FROM painted").fetchone()[0])


def test_two_that_open_it_at_once(tmp_path: Path) -> None:
    """Who waited for the other finds the work done."""

    async def work() -> None:
        stores = await asyncio.gather(*(open_store(tmp_path / "towline.db") for _ in range(4)))
        for store in stores:
            await store.close()

    asyncio.run(work())


def test_the_tables_are_not_taken_from_a_running_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command of the next release, or of the last, beside an agent of this one: told so, nothing changed."""
    paths = Paths(tmp_path)
    with sqlite3.connect(_made(paths)) as db:
        tables = schema_of(db)
    monkeypatch.setattr(schema.migrate, "__defaults__", (NEWER,))
    paths.trust.write_bytes(b"")
    with SingleFlight(paths.lock), monkeypatch.context() as other:
        other.setattr("os.getpid", lambda: 1)  # the agent is another process
        with pytest.raises(Stalled, match="is of another version"):
            commands.resume_host(paths)
    with sqlite3.connect(paths.database) as db:
        assert (tables, len(NOW)) == (schema_of(db), version(db))


def _made(paths: Paths) -> Path:
    async def work() -> None:
        await (await open_store(paths.database)).close()

    asyncio.run(work())
    return paths.database


def test_statements_of_a_script() -> None:
    """Semicolons in texts and triggers end nothing."""
    assert 4 == len(list(statements(NEXT.forward)))
