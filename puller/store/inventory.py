"""The record: one row for each service that this host ever applied."""

import sqlite3

import msgspec

from desired_state.record import Record, Recorded

_DECODER = msgspec.json.Decoder(Recorded)


def record(db: sqlite3.Connection) -> Record:
    """What this host applied last."""
    rows = db.execute("SELECT body FROM record ORDER BY service")
    return {entry.name: entry for (body,) in rows for entry in (_DECODER.decode(body),)}


def write(db: sqlite3.Connection, entry: Recorded) -> None:
    """That service as it was applied now."""
    db.execute("INSERT OR REPLACE INTO record VALUES (?, ?)", (entry.name, msgspec.json.encode(entry)))
