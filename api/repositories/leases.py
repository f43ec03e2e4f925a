"""Questions about leases."""

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import lease


async def take(connection: AsyncConnection, name: str, holder: str, now_us: int, until_us: int) -> int | None:
    """The fencing number of the lease, now ours; None while somebody else holds it."""
    row = (
        await connection.execute(select(lease.c.fence, lease.c.until_us).where(lease.c.name == name).with_for_update())
    ).first()
    if row is None:
        return await _make(connection, name, holder, until_us)
    if row.until_us > now_us:
        return None
    fence = int(row.fence) + 1
    values = {"holder": holder, "fence": fence, "until_us": until_us}
    await connection.execute(update(lease).where(lease.c.name == name).values(**values))
    return fence


async def _make(connection: AsyncConnection, name: str, holder: str, until_us: int) -> int | None:
    try:
        async with connection.begin_nested():
            await connection.execute(insert(lease).values(name=name, holder=holder, fence=1, until_us=until_us))
    except IntegrityError:  # another replica made it at the same moment
        return None
    return 1


async def renew(connection: AsyncConnection, name: str, fence: int, until_us: int) -> bool:
    """Whether the lease is still ours; then it is, until then."""
    ours = (lease.c.name == name) & (lease.c.fence == fence)
    result = await connection.execute(update(lease).where(ours).values(until_us=until_us))
    return result.rowcount == 1


async def lock(connection: AsyncConnection, name: str, fence: int) -> bool:
    """Whether that fencing number is the newest. Until the transaction ends nobody can take the lease."""
    found = await connection.scalar(select(lease.c.fence).where(lease.c.name == name).with_for_update())
    return found == fence


async def holder_of(connection: AsyncConnection, name: str) -> str:
    """Who holds the lease, or held it last."""
    return str(await connection.scalar(select(lease.c.holder).where(lease.c.name == name)) or "")
