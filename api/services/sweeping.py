"""What is old goes: by age, and by count for each host, a bounded number of rows at a time.

What counts now is never swept: the newest report of a host is in its status, the newest document in its own table.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.database import transaction
from api.moments import micros
from api.repositories import sweeps
from api.settings import SweepSettings

BATCH = 1000
"""Rows in one transaction: nobody waits long for a lock that a sweep holds."""
FEED_MINUTES = 15
"""Open pages read the feed within seconds."""
ACCESS_DAYS = 7
"""Whoever comes with a token that ended lately is told so, and not that nobody knows it."""
_Step = Callable[[AsyncConnection, int], Awaitable[int]]


class Swept(Struct, frozen=True, kw_only=True):
    """How many rows went."""

    reports: int = 0
    documents: int = 0
    events: int = 0
    changes: int = 0
    access: int = 0
    """Sessions, sign-in links, join tokens and the scripts that these named, that ended."""
    feed: int = 0
    publications: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.reports + self.documents + self.events + self.changes + self.access + self.feed + self.publications


async def sweep(engine: AsyncEngine, settings: SweepSettings, now: datetime) -> Swept:
    """Delete what the settings no longer keep. May be cut off anywhere, and run by several at once."""

    def before(**age: float) -> int:
        return micros(now - timedelta(**age))

    reports_before, changes_before = before(days=settings.report_days), before(days=settings.refused_change_days)
    return Swept(
        reports=await _all(engine, lambda c, n: sweeps.old_reports(c, reports_before, limit=n))
        + await _all(engine, lambda c, n: sweeps.surplus_reports(c, settings.reports_per_host, limit=n)),
        documents=await _all(engine, lambda c, n: sweeps.surplus_documents(c, settings.documents_per_host, limit=n)),
        events=await _all(engine, lambda c, n: sweeps.old_events(c, before(days=settings.event_days), limit=n)),
        changes=await _all(engine, lambda c, n: sweeps.refused_changes(c, changes_before, limit=n)),
        access=await _all(engine, lambda c, n: sweeps.ended_access(c, before(days=ACCESS_DAYS), limit=n)),
        feed=await _all(engine, lambda c, n: sweeps.old_feed(c, before(minutes=FEED_MINUTES), limit=n)),
        publications=await _all(engine, lambda c, n: sweeps.old_publications(c, reports_before, limit=n)),
    )


async def _all(engine: AsyncEngine, step: _Step) -> int:
    """Take step after step, each in a transaction of its own, until one finds less than it might take."""
    total = 0
    while True:
        async with transaction(engine) as connection:
            gone = await step(connection, BATCH)
        total += gone
        if gone < BATCH:
            return total
