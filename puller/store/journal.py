"""The journal: every step before it runs and after it ended. What was started and has no end is unknown."""

import sqlite3
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from desired_state.names import Digest
from desired_state.record import Recorded
from desired_state.report import StepResult
from desired_state.step import Step
from puller.store import inventory, waits
from puller.store.moments import micros, moment

KEPT_STEPS = 200
"""Reported steps beyond these are forgotten, oldest first."""
_STEP = msgspec.json.Decoder(Step)
_RESULT = msgspec.json.Decoder(StepResult)


class OpenRun(Struct, frozen=True, kw_only=True):
    """A run whose report is not written yet; after a crash the next pass continues it under the same id."""

    id: str
    trigger: str
    started_at: datetime


class Journalled(Struct, frozen=True, kw_only=True):
    """One try of one step."""

    n: int
    run: str
    attempt: int
    folder: str
    timeout_s: int
    document: Digest
    """Which document it was planned from."""
    step: Step
    started_at: datetime
    repeated: bool = False
    """Nobody knows how the try before this one ended."""
    unsure: bool = False
    """The try before this one ran, and nobody knows how it ended, or it failed: it may have changed something."""


def open_run(db: sqlite3.Connection) -> OpenRun | None:
    """The run that is not reported yet."""
    row = db.execute("SELECT run, trigger, started_us FROM open_run").fetchone()
    return OpenRun(id=row[0], trigger=row[1], started_at=moment(row[2])) if row else None


def started(db: sqlite3.Connection) -> list[Journalled]:
    """Steps that were started and have no end."""
    rows = db.execute(
        "SELECT n, run, attempt, folder, timeout_s, document, body, started_us FROM step"
        " WHERE state = 'started' ORDER BY n"
    )
    return [
        _journalled(
            db,
            n=r[0],
            run=r[1],
            attempt=r[2],
            folder=r[3],
            timeout_s=r[4],
            document=r[5],
            step=_STEP.decode(r[6]),
            started_at=moment(r[7]),
        )
        for r in rows
    ]


def unreported(db: sqlite3.Connection) -> list[StepResult]:
    """How the steps ended that stand in no report yet, in the order they were started."""
    rows = db.execute("SELECT result FROM step WHERE reported = 0 AND result IS NOT NULL ORDER BY n")
    return [_RESULT.decode(body) for (body,) in rows]


def start(
    db: sqlite3.Connection, run: OpenRun, step: Step, *, folder: str, timeout_s: int, document: Digest, at: datetime
) -> Journalled:
    """Writes down that the step is about to run."""
    db.execute("INSERT OR IGNORE INTO open_run VALUES (1, ?, ?, ?)", (run.id, run.trigger, micros(run.started_at)))
    attempt = 1 + db.execute("SELECT count(*) FROM step WHERE step_id = ?", (step.id,)).fetchone()[0]
    row = db.execute(
        "INSERT INTO step (step_id, service, verb, run, attempt, state, folder, timeout_s, document, body, started_us)"
        " VALUES (?, ?, ?, ?, ?, 'started', ?, ?, ?, ?, ?) RETURNING n",
        (
            step.id,
            step.service,
            step.verb,
            run.id,
            attempt,
            folder,
            timeout_s,
            document,
            msgspec.json.encode(step),
            micros(at),
        ),
    ).fetchone()
    return _journalled(
        db,
        n=row[0],
        run=run.id,
        attempt=attempt,
        folder=folder,
        timeout_s=timeout_s,
        document=document,
        step=step,
        started_at=at,
    )


def finish(db: sqlite3.Connection, n: int, result: StepResult, entry: Recorded | None) -> None:
    """The step succeeded: its result and the record, as one."""
    _end(db, n, "done", result)
    if entry is not None:
        inventory.write(db, entry)


def fail(db: sqlite3.Connection, n: int, result: StepResult, wait: waits.Wait) -> None:
    """The step failed: its result and what happens next, as one."""
    _end(db, n, "failed", result)
    waits.put(db, wait)


def lose(db: sqlite3.Connection, n: int, result: StepResult) -> None:
    """Nobody knows how the step ended."""
    _end(db, n, "unknown", result)


def close_run(db: sqlite3.Connection) -> None:
    """The run stands in a report: its steps need not be reported again, and old ones are forgotten."""
    db.execute("UPDATE step SET reported = 1 WHERE reported = 0 AND state <> 'started'")
    db.execute("DELETE FROM open_run")
    db.execute(
        "DELETE FROM step WHERE reported = 1 AND n <= (SELECT max(n) FROM step) - ?",
        (KEPT_STEPS,),
    )


def folders(db: sqlite3.Connection) -> set[str]:
    """Scratch folders that the journal still speaks of."""
    return {folder for (folder,) in db.execute("SELECT folder FROM step")}


def _journalled(db: sqlite3.Connection, *, n: int, step: Step, **fields: Any) -> Journalled:
    """That try, in the light of the one before it."""
    row = db.execute(
        "SELECT state, result FROM step WHERE service = ? AND verb = ? AND n < ? ORDER BY n DESC LIMIT 1",
        (step.service, step.verb, n),
    ).fetchone()
    state, result = row or ("done", None)
    ran_in_vain = state == "failed" and result is not None and _RESULT.decode(result).exit_code is not None
    lost = state == "unknown"
    return Journalled(n=n, step=step, repeated=lost, unsure=lost or ran_in_vain, **fields)


def _end(db: sqlite3.Connection, n: int, state: str, result: StepResult) -> None:
    db.execute("UPDATE step SET state = ?, result = ? WHERE n = ?", (state, msgspec.json.encode(result), n))
