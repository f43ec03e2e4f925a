"""The tables, and how a file of an older puller becomes one of this. Forward only; each migration is one transaction.

Times are integer microseconds since 1970, UTC. Bodies are JSON as msgspec writes it. Tables with `id = 1` have one row.
"""

import sqlite3

from puller.ports import Stalled

MIGRATIONS = (
    """
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
    """,
)


def migrate(db: sqlite3.Connection) -> None:
    """Brings the file to this puller's schema. Raises Stalled for one that a newer puller wrote."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise Stalled(
            f"the database has schema {version} and this puller knows {len(MIGRATIONS)}: install the newer puller again"
        )
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        db.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")
