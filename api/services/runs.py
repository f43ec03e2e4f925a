"""Runs: passes that did something, of one host and of the whole fleet, each with one line that says what. Read only."""

from collections.abc import Iterable

import msgspec
import structlog
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import snapshot
from api.errors import NotFound
from api.repositories import fleet as questions
from desired_state.report import Report, Run

_log = structlog.get_logger()


class RunLine(Struct, frozen=True, kw_only=True):
    """One run, and what to say of it in one line."""

    seq: int
    run: Run
    summary: str
    failed: bool

    @property
    def repair(self) -> bool:
        """Whether all that was done put right what had drifted."""
        return bool(self.run.steps) and all(step.intent == "corrective" for step in self.run.steps)


class FleetRun(Struct, frozen=True, kw_only=True):
    """A run, and the host it was on."""

    host: str
    line: RunLine


async def host_runs(engine: AsyncEngine, host: str, *, before: int | None, limit: int) -> tuple[RunLine, ...]:
    """The runs of a host, newest first."""
    async with snapshot(engine) as connection:
        if await questions.one_host(connection, host) is None:
            raise NotFound(f"no host {host} is declared in the catalogue or enrolled")
        rows = await questions.runs(connection, host, before=before, limit=limit)
    return run_lines(host, rows)


async def latest_runs(engine: AsyncEngine, limit: int) -> tuple[FleetRun, ...]:
    """What was done last, wherever it was."""
    async with snapshot(engine) as connection:
        rows = await questions.latest_runs(connection, limit=limit)
    return tuple(FleetRun(host=host, line=line) for host, seq, body in rows for line in run_lines(host, [(seq, body)]))


def run_lines(host: str, rows: Iterable[tuple[int, bytes]]) -> tuple[RunLine, ...]:
    """The runs in these reports. One that another version stored in words unknown here is left out, and logged."""
    lines = []
    for seq, body in rows:
        try:
            lines.append(run_line(seq, body))
        except msgspec.ValidationError as error:
            _log.warning("a stored report cannot be read", host=host, seq=seq, error=str(error))
    return tuple(lines)


def run_line(seq: int, body: bytes) -> RunLine:
    """A report's run, and its summary."""
    run = msgspec.json.decode(body, type=Report).run
    assert run is not None  # noqa: S101 - only reports with a run are asked for
    failed = any(step.outcome == "failed" for step in run.steps)
    return RunLine(seq=seq, run=run, summary=_summary(run), failed=failed)


def _summary(run: Run) -> str:
    if not run.steps:
        return "Looked; nothing to run"
    wrong = [step for step in run.steps if step.outcome == "failed"]
    if wrong:
        return f"{wrong[0].verb.value} {wrong[0].service} failed" + (
            f", and {len(wrong) - 1} more" if wrong[1:] else ""
        )
    steps = f"{len(run.steps)} step{'s' if len(run.steps) != 1 else ''}"
    services = sorted({step.service for step in run.steps})
    told = ", ".join(services[:3]) + (f" and {len(services) - 3} more" if len(services) > 3 else "")
    repair = all(step.intent == "corrective" for step in run.steps)
    return f"{'Repaired' if repair else 'Applied'} {told} in {steps}"
