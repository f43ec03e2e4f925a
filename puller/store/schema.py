"""The tables, and how a file of another puller becomes one of this: of any older one, and of the one that comes next.

An agent that was upgraded and undone finds what the newer one made of its file. It cannot know that version; so the
newer one leaves in the file, in the transaction of each migration, the SQL that takes it back. That SQL is as trusted
as the file: nobody but this host's puller writes there. Every migration is one transaction, forward and back: killed
or without room anywhere, the file is of one version or of the other.

Times are integer microseconds since 1970, UTC. Bodies are JSON as msgspec writes it; unknown fields in them are passed
over (adr/0010). Tables with `id = 1` have one row.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from puller.ports import Stalled


class Migration(Struct, frozen=True, kw_only=True):
    """One step of the schema."""

    forward: str
    back: str = ""
    """What undoes it, without losing what the version before knows. Empty for the first: before it there is no file."""


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        forward="""
    CREATE TABLE ratchet (
      id INTEGER PRIMARY KEY CHECK (id = 1), epoch INTEGER NOT NULL, revision INTEGER NOT NULL, digest TEXT NOT NULL);
    CREATE TABLE document (
      slot TEXT PRIMARY KEY CHECK (slot IN ('accepted', 'good')), epoch INTEGER NOT NULL, revision INTEGER NOT NULL,
      digest TEXT NOT NULL, note BLOB NOT NULL, tag TEXT NOT NULL, origin TEXT NOT NULL, at_us INTEGER NOT NULL);
    CREATE TABLE bad_revision (
      id INTEGER PRIMARY KEY CHECK (id = 1), digest TEXT NOT NULL, revision INTEGER NOT NULL, service TEXT NOT NULL,
      message TEXT NOT NULL, since_us INTEGER NOT NULL);
    CREATE TABLE record (service TEXT PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE open_run (
      id INTEGER PRIMARY KEY CHECK (id = 1), run TEXT NOT NULL, trigger TEXT NOT NULL, started_us INTEGER NOT NULL);
    CREATE TABLE step (
      n INTEGER PRIMARY KEY AUTOINCREMENT, step_id TEXT NOT NULL, service TEXT NOT NULL, verb TEXT NOT NULL,
      run TEXT NOT NULL, attempt INTEGER NOT NULL,
      state TEXT NOT NULL CHECK (state IN ('started', 'done', 'failed', 'unknown')),
      folder TEXT NOT NULL, timeout_s INTEGER NOT NULL, document TEXT NOT NULL, body BLOB NOT NULL,
      started_us INTEGER NOT NULL, result BLOB, reported INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX step_open ON step (reported, state);
    CREATE INDEX step_by_id ON step (step_id);
    CREATE TABLE wait (
      service TEXT PRIMARY KEY, state TEXT NOT NULL CHECK (state IN ('retry', 'stalled')), attempts INTEGER NOT NULL,
      next_try_us INTEGER NOT NULL, document TEXT NOT NULL, message TEXT NOT NULL, since_us INTEGER NOT NULL);
    CREATE TABLE outbox (seq INTEGER PRIMARY KEY, report_id TEXT NOT NULL UNIQUE, body BLOB NOT NULL);
    CREATE TABLE heartbeat (id INTEGER PRIMARY KEY CHECK (id = 1), at_us INTEGER NOT NULL);
    CREATE TABLE status (
      id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, at_us INTEGER NOT NULL, body BLOB NOT NULL);
    CREATE TABLE suspension (
      id INTEGER PRIMARY KEY CHECK (id = 1), reason TEXT NOT NULL, until_us INTEGER, since_us INTEGER NOT NULL);
    CREATE TABLE request (
      id INTEGER PRIMARY KEY AUTOINCREMENT, allow_removals INTEGER, at_us INTEGER NOT NULL,
      done INTEGER NOT NULL DEFAULT 0);
    """
    ),
)
_WAY_BACK = "CREATE TABLE IF NOT EXISTS way_back (version INTEGER PRIMARY KEY, sql TEXT NOT NULL)"


def migrate(
    db: sqlite3.Connection,
    migrations: Sequence[Migration] = MIGRATIONS,
    *,
    may_change: Callable[[], bool] = lambda: True,
) -> None:
    """Brings the file to this puller's schema. `may_change` is asked only where there is something to change.

    Raises Stalled where a person must act: the file is of a puller two versions ahead, or without a way back, or
    another puller of another version works with it now.
    """
    while _version(db) != len(migrations):
        if not may_change():
            raise Stalled(
                f"the agent that runs here is of another version (its database has schema {_version(db)}, this command "
                f"knows {len(migrations)}): use the command of that version, or restart the agent"
            )
        _in_transaction(db, migrations)


def _in_transaction(db: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """One version further towards ours. The version is read again: who waited for the lock may find it done."""
    db.execute("BEGIN IMMEDIATE")
    try:
        version = _version(db)
        if version < len(migrations):
            _forward(db, version + 1, migrations[version])
        elif version > len(migrations):
            _back(db, version, len(migrations))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk has rolled it back already
            db.execute("ROLLBACK")
        raise


def _forward(db: sqlite3.Connection, number: int, migration: Migration) -> None:
    for statement in statements(migration.forward):
        db.execute(statement)
    db.execute(_WAY_BACK)
    if migration.back:
        db.execute("INSERT OR REPLACE INTO way_back VALUES (?, ?)", (number, migration.back))
    db.execute(f"PRAGMA user_version = {number}")


def _back(db: sqlite3.Connection, version: int, known: int) -> None:
    way = _way_back(db, version) if version == known + 1 else None
    if way is None:
        raise Stalled(
            f"the database has schema {version} and this agent knows {known}: it goes back by one version, and only "
            "where the newer one left the way. Install the newer agent again; nothing was changed"
        )
    for statement in statements(way):
        db.execute(statement)
    db.execute("DELETE FROM way_back WHERE version = ?", (version,))
    db.execute(f"PRAGMA user_version = {known}")


def _way_back(db: sqlite3.Connection, version: int) -> str | None:
    if db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'way_back'").fetchone() is None:
        return None
    row = db.execute("SELECT sql FROM way_back WHERE version = ?", (version,)).fetchone()
    return str(row[0]) if row else None


def statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: `executescript` would commit what it is in the middle of."""
    statement = ""
    for piece in script.split(";"):
        statement += f"{piece};"
        if sqlite3.complete_statement(statement):
            if statement.strip(" \n\t;"):
                yield statement
            statement = ""


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])
