"""One replica's publisher as a process of its own: `python -m tests.api.publisher_process URL BARE SCRATCH NAME`.

Publishes over and over until its standard input ends.
"""

import asyncio
import contextlib
import select
import sys
from datetime import UTC, datetime
from pathlib import Path

from api.database import make_engine
from api.errors import TryLater
from api.git_access import GitAccess
from api.publish.git import GitTarget
from api.services.publishing import publish
from tests.api.fleet_world import World

LEASE_S = 1.0


def _told_to_end() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


async def main(url: str, bare: str, scratch: str, name: str) -> None:
    """Publish until told to end."""
    engine = make_engine(url, pooled=False)
    world = World(engine)
    target = GitTarget(GitAccess(url=bare), "published", Path(scratch))
    publisher = world.publisher(target, holder=name, lease_s=LEASE_S, now=lambda: datetime.now(UTC))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not _told_to_end():
        with contextlib.suppress(TryLater):
            await publish(engine, publisher)
        await asyncio.sleep(0.001)  # the database is shared with the other replica
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:5]))
