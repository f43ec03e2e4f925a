"""Bringing a target to what the database says is published."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import transaction
from api.publish.target import Door, Target, TargetMoved, TargetUnavailable
from api.repositories import deliveries, publications
from api.services.lease import Lease
from desired_state.document import Origin

_TRIES = 5
_DEADLINE_S = 120.0


class Delivered(Struct, frozen=True, kw_only=True):
    """What came of delivering to one target."""

    target: str
    files: int = 0
    problem: str = ""
    """Why it does not stand there yet; empty when it does. The next call tries again."""


class _Batch(Struct, frozen=True, kw_only=True):
    files: Mapping[str, bytes]
    digests: Mapping[str, str]
    message: str


async def deliver(engine: AsyncEngine, target: Target, lease: Lease, now_us: Callable[[], int]) -> Delivered:
    """Put whatever the target lacks. Raises TryLater and LeaseLost; a target's trouble is told in the answer."""
    done, moved = 0, 0
    with ThreadPoolExecutor(1, thread_name_prefix=target.name) as thread:  # pygit2's objects belong to one thread
        loop = asyncio.get_running_loop()
        while True:
            try:
                door: Door = await loop.run_in_executor(thread, target.open)
                try:
                    batch = await _lacking(engine, target.name, door.state, lease)
                    if not batch.files:
                        return Delivered(target=target.name, files=done)
                    state = await loop.run_in_executor(thread, door.put, batch.files, batch.message)
                finally:
                    await loop.run_in_executor(thread, door.close)
            except TargetMoved as error:
                moved += 1
                if moved == _TRIES:
                    return Delivered(target=target.name, files=done, problem=str(error))
                continue
            except TargetUnavailable as error:
                return Delivered(target=target.name, files=done, problem=str(error))
            async with transaction(engine, deadline_s=_DEADLINE_S) as connection:
                await lease.lock(connection)
                await deliveries.remember(connection, target.name, batch.digests, state, now_us())
            done += len(batch.files)


async def _lacking(engine: AsyncEngine, target: str, state: str, lease: Lease) -> _Batch:
    """What is published and does not stand in the target. Asked after the target was opened, never before.

    A target that is not in the state we left it in was changed by others: then nothing is known of it, and everything
    is compared again. Files that are right are not written a second time.
    """
    async with transaction(engine, deadline_s=_DEADLINE_S) as connection:
        await lease.lock(connection)
        if await deliveries.state(connection, target) != state:
            await deliveries.forget(connection, target)
        items = await deliveries.missing_trust(connection, target)
        items += await deliveries.missing_documents(connection, target)
        _, origin = await publications.head(connection)
    return _Batch(
        files={item.path: item.note for item in items},
        digests={item.key: item.digest for item in items},
        message=_message(origin, [item.key for item in items]),
    )


def _message(origin: Origin, keys: list[str]) -> str:
    """What a reader of the branch's history asks: what changed, who did it, whom it concerns."""
    first = origin.summary.strip().split("\n")[0] or origin.change
    named = ", ".join(keys[:20]) + (f" and {len(keys) - 20} more" if len(keys) > 20 else "")
    lines = [first[:72], "", f"Catalogue: {origin.change}", f"Documents: {named}"]
    lines += [f"Author: {origin.author}"] if origin.author else []
    return "\n".join(lines) + "\n"
