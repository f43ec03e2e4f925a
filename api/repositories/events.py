"""Questions about the audit log."""

from collections.abc import Sequence

from msgspec import Struct, structs
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import event, event_head


class EventRow(Struct, frozen=True, kw_only=True):
    """One line."""

    id: int
    at_us: int
    actor: str
    action: str
    subject: str
    detail: bytes
    prev_hash: str
    hash: str


class Head(Struct, frozen=True, kw_only=True):
    """The newest line's number and hash."""

    event_id: int
    hash: str


async def lock_head(connection: AsyncConnection) -> Head:
    """The newest line; nobody else appends until this transaction ends."""
    question = select(event_head.c.event_id, event_head.c.hash).where(event_head.c.id == 1).with_for_update()
    row = (await connection.execute(question)).one()
    return Head(event_id=row.event_id, hash=row.hash)


async def read_head(connection: AsyncConnection) -> Head:
    """The newest line."""
    row = (await connection.execute(select(event_head.c.event_id, event_head.c.hash))).one()
    return Head(event_id=row.event_id, hash=row.hash)


async def add(connection: AsyncConnection, rows: Sequence[EventRow]) -> None:
    """Append these lines, at least one, under the lock of the head."""
    await connection.execute(insert(event), [structs.asdict(row) for row in rows])
    newest = {"event_id": rows[-1].id, "hash": rows[-1].hash}
    await connection.execute(update(event_head).where(event_head.c.id == 1).values(**newest))


async def after(connection: AsyncConnection, event_id: int, *, limit: int) -> list[EventRow]:
    """Lines after that one, oldest first."""
    question = select(event).where(event.c.id > event_id).order_by(event.c.id).limit(limit)
    return [EventRow(**row) for row in (await connection.execute(question)).mappings()]


async def before(connection: AsyncConnection, event_id: int | None, *, subject: str = "", limit: int) -> list[EventRow]:
    """Lines before that one (None: the newest), newest first; only about `subject` when it is given."""
    question = select(event).order_by(event.c.id.desc()).limit(limit)
    if event_id is not None:
        question = question.where(event.c.id < event_id)
    if subject:
        question = question.where(event.c.subject == subject)
    return [EventRow(**row) for row in (await connection.execute(question)).mappings()]


async def drop_older(connection: AsyncConnection, at_us: int, *, limit: int) -> int:
    """Delete at most `limit` of the oldest lines from before that moment; returns how many.

    Only the beginning goes, and never the newest line: what is left must be a chain that ends at the head.
    """
    kept = await connection.scalar(select(event.c.id).where(event.c.at_us >= at_us).order_by(event.c.id).limit(1))
    first_kept = kept if kept is not None else (await read_head(connection)).event_id
    question = select(event.c.id).where(event.c.id < first_kept).order_by(event.c.id).limit(limit)
    ids = list(await connection.scalars(question))
    if ids:
        await connection.execute(delete(event).where(event.c.id <= ids[-1]))
    return len(ids)
