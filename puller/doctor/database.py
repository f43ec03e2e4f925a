"""The database: whole, and of a schema that this puller knows."""

import sqlite3
from collections.abc import Iterator

from puller.doctor.case import Case
from puller.doctor.finding import Finding, fault, ok, skipped, warning
from puller.store import outbox
from puller.store.schema import MIGRATIONS

AWAY = (
    "stop the agent, move state/towline.db* away, start it: the document is fetched anew, every service installed anew"
)


def database(case: Case) -> Iterator[Finding]:
    """Integrity and schema."""
    if not case.paths.database.exists():
        yield skipped("there is none yet: no pass was ever made")
        return
    try:
        with case.database() as db:
            wrong = [row[0] for row in db.execute("PRAGMA integrity_check(5)") if row[0] != "ok"]
            version = db.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.OperationalError as error:
        yield fault(
            f"{case.paths.database} cannot be opened: {error}", "is the disk full, read-only, or not ours to read?"
        )
        return
    except sqlite3.DatabaseError as error:
        yield fault(f"{case.paths.database} is damaged: {error}", AWAY)
        return
    if wrong:
        yield fault(f"{case.paths.database} is damaged: {'; '.join(wrong)}", AWAY)
    elif version > len(MIGRATIONS):
        yield fault(f"its schema is {version}, this puller knows {len(MIGRATIONS)}", "install the newer agent again")
    elif version < len(MIGRATIONS):
        yield warning(
            f"its schema is {version}, this puller has {len(MIGRATIONS)}", "the agent migrates it when it starts"
        )
    else:
        yield ok(f"whole, schema {version}, {case.paths.database.stat().st_size >> 10} KiB")


def reports(case: Case) -> Iterator[Finding]:
    """Reports that the backend has not confirmed."""
    with case.database() as db:
        waiting = outbox.backlog(db)
    if waiting:
        yield warning(
            f"{waiting} reports wait for the backend; none is lost", "see the findings on the backend and the way to it"
        )
    else:
        yield ok("none waits")
