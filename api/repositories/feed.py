"""Questions about the change feed."""

from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import change_feed

LIMIT = 1000


class News(Struct, frozen=True, kw_only=True):
    """Something changed: topic `host` with its name, or `catalogue`, `publication`."""

    id: int
    topic: str
    subject: str


async def newest(connection: AsyncConnection) -> int:
    """The newest line's number; 0 where there is none."""
    return await connection.scalar(select(func.max(change_feed.c.id))) or 0


async def after(connection: AsyncConnection, number: int) -> list[News]:
    """Lines after that one, oldest first; at most so many that one answer stays small."""
    question = (
        select(change_feed.c.id, change_feed.c.topic, change_feed.c.subject)
        .where(change_feed.c.id > number)
        .order_by(change_feed.c.id)
        .limit(LIMIT)
    )
    return [News(id=row.id, topic=row.topic, subject=row.subject) for row in await connection.execute(question)]
