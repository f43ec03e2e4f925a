"""Questions about changes of the catalogue, for reading only."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import catalogue_change


async def changes(connection: AsyncConnection, *, before: int | None = None, limit: int) -> list[dict[str, Any]]:
    """Changes, applied and refused, newest first, below that number."""
    question = select(catalogue_change).order_by(catalogue_change.c.id.desc()).limit(limit)
    if before is not None:
        question = question.where(catalogue_change.c.id < before)
    return [dict(row) for row in (await connection.execute(question)).mappings()]


async def change(connection: AsyncConnection, change_id: int) -> dict[str, Any] | None:
    """One change."""
    question = select(catalogue_change).where(catalogue_change.c.id == change_id)
    row = (await connection.execute(question)).mappings().first()
    return dict(row) if row is not None else None


async def newest_applied(connection: AsyncConnection) -> dict[str, Any] | None:
    """The change that the catalogue is in."""
    question = select(catalogue_change).where(catalogue_change.c.state == "applied")
    row = (await connection.execute(question.order_by(catalogue_change.c.id.desc()).limit(1))).mappings().first()
    return dict(row) if row is not None else None
