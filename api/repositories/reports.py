"""Questions about what hosts sent."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct, structs
from sqlalchemy import delete, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import host_identity, host_status, report
from desired_state.names import HostName


class ReportRow(Struct, frozen=True, kw_only=True):
    """One report as it is kept."""

    id: str
    host: HostName
    seq: int
    at_us: int
    received_us: int
    run_id: str
    body: bytes


class StatusRow(Struct, frozen=True, kw_only=True):
    """What a host said last."""

    host: HostName
    seq: int
    at_us: int
    seen_us: int
    status: bytes
    sync: str
    health: str
    mode: str
    ready: str
    ready_reason: str
    stalled: int
    outstanding: int
    accepted_epoch: int | None
    accepted_revision: int | None
    applied_revision: int | None
    document_digest: str
    agent_version: str

    @property
    def shown(self) -> tuple[Any, ...]:
        """What a list of hosts shows of it: when this differs, open pages look again."""
        return (self.sync, self.health, self.mode, self.ready, self.ready_reason, self.stalled, self.outstanding,
                self.accepted_epoch, self.accepted_revision, self.applied_revision, self.document_digest)  # fmt: skip


class Sender(Struct, frozen=True, kw_only=True):
    """Who sends under a host's name."""

    enrolled_at_us: int
    boot_id: str
    agent_version: str
    clone_seen_us: int | None


async def lock_statuses(connection: AsyncConnection, hosts: Collection[HostName]) -> dict[HostName, StatusRow]:
    """What these hosts said last, without the body; nobody else writes it until this transaction ends."""
    columns = [host_status.c[name] for name in StatusRow.__struct_fields__ if name != "status"]
    question = select(*columns).where(host_status.c.host.in_(hosts)).order_by(host_status.c.host).with_for_update()
    names = [column.name for column in columns]
    rows = await connection.execute(question)
    return {row[0]: StatusRow(status=b"", **dict(zip(names, row, strict=True))) for row in rows}


async def senders(connection: AsyncConnection, hosts: Collection[HostName]) -> dict[HostName, Sender]:
    """Who they are."""
    columns = (host_identity.c.host, *(host_identity.c[name] for name in Sender.__struct_fields__))
    question = select(*columns).where(host_identity.c.host.in_(hosts))
    rows = (await connection.execute(question)).mappings()
    return {row["host"]: Sender(**{name: row[name] for name in Sender.__struct_fields__}) for row in rows}


async def known_ids(connection: AsyncConnection, ids: Collection[str]) -> set[str]:
    """Those of the reports that are here already."""
    return set(await connection.scalars(select(report.c.id).where(report.c.id.in_(ids)))) if ids else set()


async def known_numbers(
    connection: AsyncConnection, numbers: Collection[tuple[HostName, int]]
) -> list[tuple[HostName, int]]:
    """Those of the hosts' sequence numbers under which reports are here already, and when each report came."""
    if not numbers:
        return []
    columns = (report.c.host, report.c.received_us)
    question = select(*columns).where(tuple_(report.c.host, report.c.seq).in_(list(numbers)))
    return [(row.host, row.received_us) for row in await connection.execute(question)]


async def add(connection: AsyncConnection, rows: Sequence[ReportRow]) -> None:
    """Keep these reports."""
    if rows:
        await connection.execute(insert(report), [structs.asdict(row) for row in rows])


async def put_statuses(connection: AsyncConnection, rows: Sequence[StatusRow], replaced: Collection[HostName]) -> None:
    """Make these what the hosts said last. Two statements for all of them: an UPDATE each costs a round trip each."""
    if replaced:
        await connection.execute(delete(host_status).where(host_status.c.host.in_(replaced)))
    if rows:
        await connection.execute(insert(host_status), [structs.asdict(row) for row in rows])


async def touch(connection: AsyncConnection, hosts: Collection[HostName], seen_us: int) -> None:
    """These were heard of, and what they said last still holds."""
    if hosts:
        await connection.execute(update(host_status).where(host_status.c.host.in_(hosts)).values(seen_us=seen_us))


async def describe_sender(connection: AsyncConnection, host: HostName, values: Mapping[str, Any]) -> None:
    """Write down something new about who sends."""
    await connection.execute(update(host_identity).where(host_identity.c.host == host).values(**values))
