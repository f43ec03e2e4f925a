"""The operator's word on this host: suspend, and do it once now."""

import sqlite3
from datetime import datetime

from msgspec import Struct

from puller.store.moments import micros, moment


class Suspension(Struct, frozen=True, kw_only=True):
    """Somebody on this host told the puller to change nothing, and why."""

    reason: str
    until: datetime | None
    since: datetime


class Request(Struct, frozen=True, kw_only=True):
    """An operator asked the running puller for a pass."""

    id: int
    allow_removals: int | None


def suspension(db: sqlite3.Connection) -> Suspension | None:
    """The suspension in force or lapsed; the caller compares `until` with its clock."""
    row = db.execute("SELECT reason, until_us, since_us FROM suspension").fetchone()
    if row is None:
        return None
    return Suspension(reason=row[0], until=moment(row[1]) if row[1] is not None else None, since=moment(row[2]))


def suspend(db: sqlite3.Connection, word: Suspension) -> None:
    """From now on nothing is changed."""
    until = micros(word.until) if word.until else None
    db.execute("INSERT OR REPLACE INTO suspension VALUES (1, ?, ?, ?)", (word.reason, until, micros(word.since)))


def resume(db: sqlite3.Connection) -> None:
    """Ends the suspension."""
    db.execute("DELETE FROM suspension")


def ask(db: sqlite3.Connection, allow_removals: int | None, at: datetime) -> int:
    """Leaves a request for the running puller; its number."""
    db.execute("DELETE FROM request WHERE done = 1")
    row = db.execute(
        "INSERT INTO request (allow_removals, at_us) VALUES (?, ?) RETURNING id", (allow_removals, micros(at))
    ).fetchone()
    return int(row[0])


def requests(db: sqlite3.Connection) -> list[Request]:
    """Requests that no pass has answered."""
    rows = db.execute("SELECT id, allow_removals FROM request WHERE done = 0 ORDER BY id")
    return [Request(id=r[0], allow_removals=r[1]) for r in rows]


def answer(db: sqlite3.Connection, up_to: int) -> None:
    """Those requests had their pass."""
    db.execute("UPDATE request SET done = 1 WHERE id <= ?", (up_to,))


def answered(db: sqlite3.Connection, request: int) -> bool:
    """Whether that request had its pass."""
    return db.execute("SELECT 1 FROM request WHERE id = ? AND done = 0", (request,)).fetchone() is None
