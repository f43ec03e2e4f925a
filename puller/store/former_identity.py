"""When this host becomes another one: what the former one was told and had to say is dropped; what it runs is not."""

import sqlite3

from puller.store import journal

_ITS_OWN = ("ratchet", "document", "bad_revision", "outbox", "status", "heartbeat", "wait", "request")
"""Told by, or said to, the backend of before: another one counts its documents anew and knows no report of ours."""


def forget(db: sqlite3.Connection) -> None:
    """Drops it. The record of services stays, with the journal: they run here, whoever the host is. A word of this
    host's own operator (a suspension) stays too."""
    journal.close_run(db)
    for table in _ITS_OWN:
        db.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
