"""The outbox: reports that the backend has not confirmed, the status that was reported last, and the heartbeat.

Reports are compressed: a backend that is away for a week must not fill the disk of a host that fails and retries.
"""

import sqlite3
import zlib
from collections.abc import Sequence
from datetime import datetime

import msgspec

from desired_state.names import Digest, digest_of
from desired_state.report import Report, Status
from puller.store.moments import micros, moment

MAX_DELIVERY_BYTES = 4 << 20
_REPORT = msgspec.json.Decoder(Report)
_STATUS = msgspec.json.Decoder(Status)


def seq(db: sqlite3.Connection) -> int:
    """The number of the newest report, 0 before the first."""
    row = db.execute("SELECT seq FROM status").fetchone()
    return int(row[0]) if row else 0


def status(db: sqlite3.Connection) -> Status | None:
    """What this host knew of itself when it changed last."""
    row = db.execute("SELECT body FROM status").fetchone()
    return _STATUS.decode(row[0]) if row else None


def put(db: sqlite3.Connection, report: Report, *, send: bool) -> None:
    """Keeps the status, and the report until the backend has confirmed it."""
    db.execute(
        "INSERT OR REPLACE INTO status VALUES (1, ?, ?, ?)",
        (report.seq, micros(report.at), msgspec.json.encode(report.status)),
    )
    if send:
        body = zlib.compress(msgspec.json.encode(report), 1)
        db.execute("INSERT INTO outbox VALUES (?, ?, ?)", (report.seq, report.id, body))
    beat(db, report.at)


def say_again(db: sqlite3.Connection, above: int, at: datetime) -> None:
    """Puts the status that was reported last into a report of its own, with a number above the backend's and ours."""
    known = status(db)
    if known is None:
        return
    number = max(seq(db), above) + 1
    id_ = digest_of(f"{known.host}\n{number}\nagain {micros(at)}".encode())
    report = Report(schema="towline.report/1", id=id_, host=known.host, seq=number, at=at, status=known)
    put(db, report, send=True)


def beat(db: sqlite3.Connection, at: datetime) -> None:
    """A pass ended now."""
    db.execute("INSERT OR REPLACE INTO heartbeat VALUES (1, ?)", (micros(at),))


def last_pass(db: sqlite3.Connection) -> datetime | None:
    """When a pass ended last."""
    row = db.execute("SELECT at_us FROM heartbeat").fetchone()
    return moment(row[0]) if row else None


def waiting(db: sqlite3.Connection, limit: int = 100) -> tuple[Report, ...]:
    """The oldest reports that the backend has not confirmed, as many as fit one delivery."""
    reports: list[Report] = []
    room = MAX_DELIVERY_BYTES
    for (packed,) in db.execute("SELECT body FROM outbox ORDER BY seq LIMIT ?", (limit,)):
        body = zlib.decompress(packed)
        room -= len(body)
        if reports and room < 0:
            break
        reports.append(_REPORT.decode(body))
    return tuple(reports)


def backlog(db: sqlite3.Connection) -> int:
    """How many reports wait."""
    return int(db.execute("SELECT count(*) FROM outbox").fetchone()[0])


def confirm(db: sqlite3.Connection, ids: Sequence[Digest]) -> None:
    """The backend has these."""
    db.executemany("DELETE FROM outbox WHERE report_id = ?", [(report,) for report in ids])
