"""Versions of the schema that come after this one, as a newer agent would bring them; and one of them, made and killed:
`python -m tests.fakes.schemas FILE VERSION STATEMENT` ends itself at that statement of the migration."""

import os
import signal
import sqlite3
import sys

from puller.store.schema import MIGRATIONS, Migration, migrate

NEXT = Migration(
    forward="""
    ALTER TABLE record ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey;';
    CREATE TABLE painted (service TEXT PRIMARY KEY, at_us INTEGER NOT NULL);
    CREATE TRIGGER painting AFTER INSERT ON record BEGIN
      INSERT OR IGNORE INTO painted VALUES (new.service, 0);
      UPDATE painted SET at_us = at_us + 1;
    END;
    INSERT INTO painted SELECT service, 0 FROM record;
    """,
    back="""
    DROP TRIGGER painting;
    DROP TABLE painted;
    ALTER TABLE record DROP COLUMN colour;
    """,
)
AFTER_NEXT = Migration(forward="CREATE TABLE more (id INTEGER PRIMARY KEY);", back="DROP TABLE more;")
ONE_WAY = Migration(forward="CREATE TABLE more (id INTEGER PRIMARY KEY);")

NOW = MIGRATIONS
NEWER = (*MIGRATIONS, NEXT)
TWO_AHEAD = (*NEWER, AFTER_NEXT)


def schema_of(db: sqlite3.Connection) -> list[str]:
    """What a file's tables look like, but for the table of ways back."""
    rows = db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'way_back' ORDER BY name")
    return [sql for (sql,) in rows]


def _killed(path: str, migrations: tuple[Migration, ...], nth: int) -> None:
    left = nth

    def count(_: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    db = sqlite3.connect(path, isolation_level=None)
    db.set_trace_callback(count)
    migrate(db, migrations)
    db.close()


if __name__ == "__main__":
    _killed(sys.argv[1], (*NOW, NEXT)[: int(sys.argv[2])], int(sys.argv[3]))
