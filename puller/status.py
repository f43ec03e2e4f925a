"""What this host knows of itself, read with everything else down: only the database file is needed."""

import sqlite3
from datetime import datetime, timedelta

from msgspec import Struct

from desired_state.document import decode
from desired_state.note import parse_note
from desired_state.report import Condition, Status
from puller import disk
from puller.paths import Paths
from puller.single_flight import holder
from puller.store import documents, modes, outbox, read_store

EXIT_READY, EXIT_WORKING, EXIT_STALLED, EXIT_UNKNOWN = 0, 1, 2, 3
"""Exit codes of `status` and `once`, as monitoring plugins have them: ok, warning, critical, unknown."""
MISSED_POLLS = 3


class LocalStatus(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The status that was recorded last, and how fresh it is."""

    enrolled: bool
    agent_pid: int | None = None
    """The puller that runs now."""
    status: Status | None = None
    last_pass: datetime | None = None
    poll_interval_s: int = 60
    waiting_reports: int = 0
    undelivered: str = ""
    """Why they wait, as the running agent says."""
    disk: str = ""
    """What is wrong with the disk that holds the database: full, or read-only."""
    suspension: str = ""
    """Said on this host and not seen by a pass yet, or in force."""

    def is_stale(self, now: datetime) -> bool:
        """Whether too many polls were missed for the evidence to count."""
        if self.last_pass is None:
            return True
        return now - self.last_pass > timedelta(seconds=MISSED_POLLS * self.poll_interval_s + 10)

    def condition(self, name: str) -> Condition | None:
        """The condition of that type."""
        conditions = self.status.conditions if self.status else ()
        return next((condition for condition in conditions if condition.type == name), None)

    def exit_code(self, now: datetime) -> int:
        """Ready, working on it (or told not to), stalled, or unknown."""
        stalled, ready = self.condition("Stalled"), self.condition("Ready")
        if self.is_stale(now) or ready is None or ready.status == "Unknown":
            return EXIT_UNKNOWN
        if stalled is not None and stalled.status == "True":
            return EXIT_STALLED
        return EXIT_READY if ready.status == "True" else EXIT_WORKING


def read_status(paths: Paths) -> LocalStatus:
    """The host's own word on itself. Raises sqlite3.Error when the database is damaged."""
    if not paths.database.exists():
        return LocalStatus(enrolled=paths.trust.exists(), agent_pid=holder(paths.lock), disk=disk.seen(paths.state))
    db = read_store(paths.database)
    try:
        return _read(db, paths)
    finally:
        db.close()


def _read(db: sqlite3.Connection, paths: Paths) -> LocalStatus:
    held, word = documents.held(db, "accepted"), modes.suspension(db)
    return LocalStatus(
        enrolled=paths.trust.exists(),
        agent_pid=holder(paths.lock),
        status=outbox.status(db),
        last_pass=outbox.last_pass(db),
        poll_interval_s=decode(parse_note(held.note).text).poll_interval_s if held else 60,
        waiting_reports=outbox.backlog(db),
        disk=disk.seen(paths.state),
        suspension=word.reason if word else "",
    )
