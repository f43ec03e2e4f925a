"""One at a time: a lease in the database, with a number that grows, so that a late holder can write nothing.

The time in the lease only decides when others may try; what is safe is decided by the fencing number, which every write
of a holder locks and compares in its own transaction.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.database import snapshot, transaction
from api.errors import TryLater
from api.repositories import leases

PUBLISHER = "publisher"
TTL_S = 15.0
"""A holder that died lets others in after so long; a living one renews three times in that time."""
_ASK_AGAIN_S = 0.2


class LeaseLost(TryLater):
    """Somebody else took the lease over: nothing more was written, and the other one goes on."""


class Lease:
    """The right to do something alone, held under one fencing number."""

    def __init__(self, engine: AsyncEngine, name: str, fence: int) -> None:
        self._engine = engine
        self.name = name
        self.fence = fence

    async def lock(self, connection: AsyncConnection) -> None:
        """Make this transaction one of the holder's, or raise LeaseLost."""
        if not await leases.lock(connection, self.name, self.fence):
            raise LeaseLost(f"another {self.name} took over")


@asynccontextmanager
async def hold(
    engine: AsyncEngine,
    name: str,
    holder: str,
    now_us: Callable[[], int],
    *,
    ttl_s: float = TTL_S,
    wait_s: float = 0,
) -> AsyncIterator[Lease]:
    """Hold the lease for the length of the block. Raises TryLater when another one has it, and has it still after
    `wait_s`.
    """
    fence = await _take(engine, name, holder, now_us, ttl_s)
    deadline = time.monotonic() + wait_s
    while fence is None and time.monotonic() < deadline:
        await asyncio.sleep(_ASK_AGAIN_S)
        fence = await _take(engine, name, holder, now_us, ttl_s)
    if fence is None:
        async with snapshot(engine) as connection:
            other = await leases.holder_of(connection, name)
        raise TryLater(f"{other} is the {name} at the moment", retry_after_s=2)
    renewing = asyncio.create_task(_keep(engine, name, fence, now_us, ttl_s))
    try:
        yield Lease(engine, name, fence)
    finally:
        renewing.cancel()
        with suppress(asyncio.CancelledError):
            await renewing
        with suppress(TryLater):  # a database that is away: the lease ends by its time
            async with transaction(engine) as connection:
                await leases.renew(connection, name, fence, 0)


async def _take(engine: AsyncEngine, name: str, holder: str, now_us: Callable[[], int], ttl_s: float) -> int | None:
    async with transaction(engine) as connection:
        return await leases.take(connection, name, holder, now_us(), now_us() + int(ttl_s * 1_000_000))


async def _keep(engine: AsyncEngine, name: str, fence: int, now_us: Callable[[], int], ttl_s: float) -> None:
    """Renew until cancelled or lost. Failing is harmless: then the fencing number refuses the holder's next write."""
    while True:
        await asyncio.sleep(ttl_s / 3)
        with suppress(TryLater):
            async with transaction(engine) as connection:
                if not await leases.renew(connection, name, fence, now_us() + int(ttl_s * 1_000_000)):
                    return
