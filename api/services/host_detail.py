"""Everything about one host: desired beside observed, conditions, runs, documents. Read only."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import snapshot
from api.errors import NotFound
from api.moments import moment
from api.repositories import fleet as questions
from api.repositories import publications
from api.services.agents import KIND as AGENT
from api.services.comparing import Compared, compare
from api.services.fleet import UNREADABLE, Line, line_of, status_in
from api.services.runs import RunLine, run_lines
from api.services.standing import STALE_AFTER_POLLS, has_drifted, is_fresh, length, silence_limit_s
from desired_state.document import Document, Origin, decode
from desired_state.names import Timestamp
from desired_state.note import parse_note
from desired_state.report import Condition, Status

RUNS = 10
DOCUMENTS = 8


class DocumentLine(Struct, frozen=True, kw_only=True):
    """One document of a host, and the change that made it."""

    host: str
    revision: int
    digest: str
    origin: Origin
    issued_at: Timestamp
    expires_at: Timestamp
    change_id: int


class HostDetail(Struct, frozen=True, kw_only=True):
    """One host."""

    line: Line
    freshness: str
    """`fresh`, `stale`, or `never heard of`: derived now, from the age of the evidence."""
    document: Document | None
    status: Status | None
    conditions: tuple[Condition, ...]
    """Those that the host reported, and Stale, which is derived now."""
    services: tuple[Compared, ...]
    runs: tuple[RunLine, ...]
    runs_next: int | None
    """Ask for runs below this sequence number for older ones."""
    documents: tuple[DocumentLine, ...]
    enrolled_at: Timestamp | None = None
    unreadable: str = ""
    """Said when there is a report, and this version does not understand it."""

    @property
    def differences(self) -> int:
        """Fields that differ, over all services."""
        return sum(service.differences for service in self.services)

    @property
    def agent_wanted(self) -> str:
        """The version of the agent that the document asks for; empty where it asks for none."""
        services = self.document.services if self.document else ()
        return next(
            (service.version for service in services if service.kind == AGENT and service.state != "absent"), ""
        )

    @property
    def drifted(self) -> bool:
        """Whether it has been in its document, and differs from it since."""
        return self.line.facts.said is not None and has_drifted(self.line.facts.said)

    @property
    def sync_told(self) -> str:
        """The first axis in a few words."""
        said, published = self.line.facts.said, self.line.facts.published
        if said is None or said.applied_revision is None:
            return "nothing applied yet"
        if has_drifted(said):
            return f"revision {said.applied_revision}, and differs from it since"
        of = f" of {published.revision}" if published else ""
        return f"revision {said.applied_revision}{of}"


async def host_detail(
    engine: AsyncEngine,
    host: str,
    *,
    now: datetime,
    polls: int = STALE_AFTER_POLLS,
    runs_before: int | None = None,
) -> HostDetail:
    """Everything about a host. Raises NotFound where nobody declared or enrolled it."""
    async with snapshot(engine) as connection:
        row = await questions.one_host(connection, host)
        if row is None:
            raise NotFound(f"no host {host} is declared in the catalogue or enrolled")
        bodies = await questions.statuses(connection, [host])
        notes = await questions.notes(connection, [host])
        runs = await questions.runs(connection, host, before=runs_before, limit=RUNS + 1)
        documents = await questions.documents(connection, host, limit=DOCUMENTS)
        held = await publications.held(connection)
    status = status_in(bodies[host]) if host in bodies else None
    document = document_in(notes[host]) if host in notes else None
    line = line_of(row, now, status, polls=polls, held=held.get(host, ()))
    return HostDetail(
        line=line,
        freshness=freshness(line, now),
        document=document,
        status=status,
        conditions=(*(status.conditions if status else ()), *stale_condition(line, now)),
        services=compare(document, status),
        runs=run_lines(host, runs[:RUNS]),
        runs_next=runs[RUNS - 1][0] if len(runs) > RUNS else None,
        documents=tuple(document_line(found) for found in documents),
        unreadable=UNREADABLE if host in bodies and status is None else "",
        enrolled_at=moment(row["enrolled_at_us"]) if row["enrolled_at_us"] is not None else None,
    )


def freshness(line: Line, now: datetime) -> str:
    """The third axis in one word."""
    if line.facts.said is None:
        return "never heard of"
    return "fresh" if is_fresh(line.facts, now) else "stale"


def stale_condition(line: Line, now: datetime) -> tuple[Condition, ...]:
    """What a silent host cannot say of itself; nothing before it has said anything."""
    said = line.facts.said
    if said is None:
        return ()
    limit_s = silence_limit_s(line.facts.poll_interval_s, line.facts.stale_after_polls)
    if is_fresh(line.facts, now):
        message = f"heard of within {length(limit_s)}"
        return (Condition(type="Stale", status="False", reason="Fresh", message=message, since=said.seen_at),)
    message = f"nothing was heard for more than {length(limit_s)}: is the host up, and does its way out work?"
    since = said.seen_at + timedelta(seconds=limit_s)
    return (Condition(type="Stale", status="True", reason="Silent", message=message, since=since),)


def document_in(note: bytes) -> Document:
    """The document in a note that this backend signed itself."""
    return decode(parse_note(note).text)


def document_line(row: Mapping[str, Any]) -> DocumentLine:
    """One row of a host's history."""
    return DocumentLine(
        host=row["host"],
        revision=row["revision"],
        digest=row["digest"],
        origin=Origin(
            change=row["ref"] or f"change-{row['change_id']}",
            author=row["author"] or "",
            summary=row["summary"] or "",
        ),
        issued_at=moment(row["issued_at_us"]),
        expires_at=moment(row["expires_at_us"]),
        change_id=row["change_id"],
    )
