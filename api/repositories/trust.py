"""Questions about trust notes."""

from msgspec import Struct
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import trust


class TrustRow(Struct, frozen=True, kw_only=True):
    """One version."""

    version: int
    epoch: int
    digest: str
    note: bytes
    issued_at_us: int


async def newest(connection: AsyncConnection, *, until_us: int | None = None) -> TrustRow | None:
    """The newest version (that was there at that moment); None before the first."""
    question = select(trust).order_by(trust.c.version.desc()).limit(1)
    if until_us is not None:
        question = question.where(trust.c.issued_at_us <= until_us)
    row = (await connection.execute(question)).mappings().first()
    return TrustRow(**row) if row else None


async def get(connection: AsyncConnection, version: int) -> TrustRow | None:
    """That version."""
    row = (await connection.execute(select(trust).where(trust.c.version == version))).mappings().first()
    return TrustRow(**row) if row else None


async def add(connection: AsyncConnection, row: TrustRow) -> None:
    """Store a version."""
    await connection.execute(insert(trust).values(**{name: getattr(row, name) for name in TrustRow.__struct_fields__}))
