"""What a pass needs to know of the store when it begins: one hop, one consistent view."""

import sqlite3

from msgspec import Struct

from desired_state.record import Record
from desired_state.report import Status
from puller.store import documents, inventory, journal, modes, outbox, waits
from puller.store.documents import BadRevision
from puller.store.journal import Journalled, OpenRun
from puller.store.modes import Request, Suspension
from puller.store.waits import Waits


class Snapshot(Struct, frozen=True, kw_only=True):
    """The store at one moment."""

    record: Record
    waits: Waits
    bad: BadRevision | None
    suspension: Suspension | None
    requests: tuple[Request, ...]
    status: Status | None
    open_run: OpenRun | None
    started: tuple[Journalled, ...]


def snapshot(db: sqlite3.Connection) -> Snapshot:
    """The store now."""
    return Snapshot(
        record=inventory.record(db),
        waits=waits.waits(db),
        bad=documents.bad_revision(db),
        suspension=modes.suspension(db),
        requests=tuple(modes.requests(db)),
        status=outbox.status(db),
        open_run=journal.open_run(db),
        started=tuple(journal.started(db)),
    )
