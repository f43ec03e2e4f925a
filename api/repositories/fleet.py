"""Questions about hosts: what is known of all of them, and everything about one."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import (
    catalogue_change,
    catalogue_entry,
    document,
    host_document,
    host_identity,
    host_override,
    host_status,
    report,
)

_NARROW = (
    host_status.c.seq,
    host_status.c.seen_us,
    host_status.c.sync,
    host_status.c.health,
    host_status.c.mode,
    host_status.c.ready,
    host_status.c.ready_reason,
    host_status.c.stalled,
    host_status.c.outstanding,
    host_status.c.accepted_epoch,
    host_status.c.accepted_revision,
    host_status.c.applied_revision,
    host_status.c.document_digest,
    host_status.c.agent_version,
    host_document.c.epoch.label("published_epoch"),
    host_document.c.revision.label("published_revision"),
    host_document.c.digest.label("published_digest"),
    host_identity.c.enrolled_at_us,
    host_override.c.mode.label("override_mode"),
    host_override.c.reason.label("override_reason"),
    host_override.c.until_us.label("override_until_us"),
    host_override.c.actor.label("override_actor"),
)
"""What a standing needs: no bodies, so that ten thousand hosts are one short answer."""


async def all_hosts(connection: AsyncConnection) -> list[dict[str, Any]]:
    """Every host that is declared or enrolled, with its narrow columns; `body` is None where it is not declared."""
    declared = await connection.execute(_declared())
    enrolled = await connection.execute(_enrolled_only())
    return [dict(row) for found in (declared, enrolled) for row in found.mappings()]


async def one_host(connection: AsyncConnection, host: str) -> dict[str, Any] | None:
    """The same of one host; None where nobody declared or enrolled it."""
    declared = _declared().where(catalogue_entry.c.name == host)
    for question in (declared, _enrolled_only().where(host_identity.c.host == host)):
        row = (await connection.execute(question)).mappings().first()
        if row is not None:
            return dict(row)
    return None


async def named_hosts(connection: AsyncConnection, hosts: Sequence[str]) -> list[dict[str, Any]]:
    """The same of these declared hosts, by name."""
    question = _declared().where(catalogue_entry.c.name.in_(hosts)).order_by(catalogue_entry.c.name)
    return [dict(row) for row in (await connection.execute(question)).mappings()]


def _declared() -> Select[Any]:
    name = catalogue_entry.c.name
    return (
        select(name.label("host"), catalogue_entry.c.body, *_NARROW)
        .outerjoin(host_status, host_status.c.host == name)
        .outerjoin(host_document, host_document.c.host == name)
        .outerjoin(host_identity, host_identity.c.host == name)
        .outerjoin(host_override, host_override.c.host == name)
        .where(catalogue_entry.c.kind == "host")
    )


def _enrolled_only() -> Select[Any]:
    name = host_identity.c.host
    return (
        select(name.label("host"), catalogue_entry.c.body, *_NARROW)
        .select_from(host_identity)
        .outerjoin(catalogue_entry, (catalogue_entry.c.kind == "host") & (catalogue_entry.c.name == name))
        .outerjoin(host_status, host_status.c.host == name)
        .outerjoin(host_document, host_document.c.host == name)
        .outerjoin(host_override, host_override.c.host == name)
        .where(catalogue_entry.c.name.is_(None))
    )


async def statuses(connection: AsyncConnection, hosts: Sequence[str]) -> dict[str, bytes]:
    """What these hosts said of themselves last: JSON of a Status each."""
    question = select(host_status.c.host, host_status.c.status).where(host_status.c.host.in_(hosts))
    return {row.host: row.status for row in await connection.execute(question)}


async def notes(connection: AsyncConnection, hosts: Sequence[str]) -> dict[str, bytes]:
    """The newest signed document of each of these hosts."""
    question = select(host_document.c.host, host_document.c.note).where(host_document.c.host.in_(hosts))
    return {row.host: row.note for row in await connection.execute(question)}


async def runs(connection: AsyncConnection, host: str, *, before: int | None, limit: int) -> list[tuple[int, bytes]]:
    """Reports of a host that carry a run: (seq, body), newest first, below that sequence number."""
    question = (
        select(report.c.seq, report.c.body)
        .where(report.c.host == host, report.c.run_id != "")
        .order_by(report.c.seq.desc())
        .limit(limit)
    )
    if before is not None:
        question = question.where(report.c.seq < before)
    return [(row.seq, row.body) for row in await connection.execute(question)]


async def latest_runs(connection: AsyncConnection, *, limit: int) -> list[tuple[str, int, bytes]]:
    """The reports with a run that came last: (host, seq, body), newest first."""
    question = (
        select(report.c.host, report.c.seq, report.c.body)
        .where(report.c.run_id != "")
        .order_by(report.c.received_us.desc())
        .limit(limit)
    )
    return [(row.host, row.seq, row.body) for row in await connection.execute(question)]


def _documents() -> Select[Any]:
    return select(
        document.c.host,
        document.c.revision,
        document.c.digest,
        document.c.issued_at_us,
        document.c.expires_at_us,
        document.c.change_id,
        catalogue_change.c.ref,
        catalogue_change.c.author,
        catalogue_change.c.summary,
    ).outerjoin(catalogue_change, catalogue_change.c.id == document.c.change_id)


async def documents(
    connection: AsyncConnection, host: str, *, before: int | None = None, limit: int
) -> list[dict[str, Any]]:
    """A host's documents without their bytes, newest first, each with the change it was made from."""
    question = _documents().where(document.c.host == host).order_by(document.c.revision.desc()).limit(limit)
    if before is not None:
        question = question.where(document.c.revision < before)
    return [dict(row) for row in (await connection.execute(question)).mappings()]


async def documents_of_change(connection: AsyncConnection, change_id: int, *, limit: int) -> list[dict[str, Any]]:
    """The documents that a change of the catalogue made."""
    question = _documents().where(document.c.change_id == change_id).order_by(document.c.host).limit(limit)
    return [dict(row) for row in (await connection.execute(question)).mappings()]


async def document_note(connection: AsyncConnection, host: str, revision: int) -> bytes | None:
    """The bytes of one document."""
    question = select(document.c.note).where(document.c.host == host, document.c.revision == revision)
    return await connection.scalar(question)
