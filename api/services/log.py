"""Reading the audit log."""

from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import snapshot
from api.moments import moment
from api.repositories import events


class Event(Struct, frozen=True, kw_only=True):
    """One line of the audit log."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, str]
    hash: str


class Events(Struct, frozen=True, kw_only=True):
    """A page of the audit log, newest first."""

    items: tuple[Event, ...]
    next: int | None = None
    """What to give as `after` for the lines that follow, which are older; null on the last page."""


async def read(engine: AsyncEngine, *, after: int | None, subject: str, limit: int) -> Events:
    """Lines, newest first; only about `subject` when it is given."""
    async with snapshot(engine) as connection:
        rows = await events.before(connection, after, subject=subject, limit=limit + 1)
    items = tuple(
        Event(
            id=row.id,
            at=moment(row.at_us),
            actor=row.actor,
            action=row.action,
            subject=row.subject,
            detail=msgspec.json.decode(row.detail, type=dict[str, str]),
            hash=row.hash,
        )
        for row in rows[:limit]
    )
    return Events(items=items, next=items[-1].id if len(rows) > limit else None)
