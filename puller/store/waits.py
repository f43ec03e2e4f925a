"""Services that are not tried now: those that back off, and those that stand until a person acts."""

import sqlite3
from datetime import datetime
from typing import Literal

from msgspec import Struct

from desired_state.names import Digest, ServiceName
from puller.store.moments import micros, moment


class Wait(Struct, frozen=True, kw_only=True):
    """Why a service is not tried now."""

    service: ServiceName
    state: Literal["retry", "stalled"]
    attempts: int
    """Failures in a row."""
    next_try: datetime
    document: Digest | Literal[""]
    """A stall lasts until another document than this one is to be applied."""
    message: str
    since: datetime


Waits = dict[ServiceName, Wait]


def waits(db: sqlite3.Connection) -> Waits:
    """Every service that waits."""
    rows = db.execute("SELECT service, state, attempts, next_try_us, document, message, since_us FROM wait")
    return {
        r[0]: Wait(
            service=r[0],
            state=r[1],
            attempts=r[2],
            next_try=moment(r[3]),
            document=r[4],
            message=r[5],
            since=moment(r[6]),
        )
        for r in rows
    }


def put(db: sqlite3.Connection, wait: Wait) -> None:
    """That service waits now."""
    db.execute(
        "INSERT OR REPLACE INTO wait VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            wait.service,
            wait.state,
            wait.attempts,
            micros(wait.next_try),
            wait.document,
            wait.message,
            micros(wait.since),
        ),
    )


def clear(db: sqlite3.Connection, services: tuple[ServiceName, ...]) -> None:
    """Those services wait no longer: they succeeded."""
    db.executemany("DELETE FROM wait WHERE service = ?", [(service,) for service in services])


def clear_all(db: sqlite3.Connection) -> None:
    """An operator wants everything tried now."""
    db.execute("DELETE FROM wait")
