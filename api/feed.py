"""What is new, for pages that are open: one task asks the database for all of this process's readers.

Whoever writes (ingest, publishing, importing) adds a line to the table `change_feed` in its own transaction, so a page
follows what any replica does.
"""

import asyncio
from collections.abc import AsyncIterator

from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import snapshot
from api.errors import TryLater
from api.repositories import feed as questions
from api.repositories.feed import News

ASK_EVERY_S = 0.3
LATE_S = 10.0
"""Numbers are given before transactions end, so a smaller one may show up after a larger one: so long we look back."""
ASIDE = 1000
"""A reader that is so many lines behind has lost its connection."""


class Feed:
    """The news of one process. It holds nothing: readers look at everything when they come back."""

    def __init__(self, engine: AsyncEngine, closing: asyncio.Event) -> None:
        self._engine = engine
        self._closing = closing
        self._readers: set[asyncio.Queue[tuple[News, ...]]] = set()
        self._task: asyncio.Task[None] | None = None

    async def follow(self, *, idle_s: float) -> AsyncIterator[tuple[News, ...]]:
        """News as they come; an empty tuple after `idle_s` seconds without any. Ends when the process is told to."""
        mine: asyncio.Queue[tuple[News, ...]] = asyncio.Queue(maxsize=ASIDE)
        self._readers.add(mine)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._ask())
        try:
            while not self._closing.is_set():
                yield await self._next(mine, idle_s)
        finally:
            self._readers.discard(mine)

    async def _next(self, mine: asyncio.Queue[tuple[News, ...]], idle_s: float) -> tuple[News, ...]:
        """The next news; returns early and empty when the process is told to end."""
        getting, ending = asyncio.ensure_future(mine.get()), asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({getting, ending}, timeout=idle_s, return_when=asyncio.FIRST_COMPLETED)
            return getting.result() if getting.done() else ()
        finally:
            getting.cancel()
            ending.cancel()

    async def _ask(self) -> None:
        """Ask for as long as somebody reads."""
        seen: dict[int, float] = {}
        floor: int | None = None
        clock = asyncio.get_running_loop().time
        while self._readers and not self._closing.is_set():
            try:
                async with snapshot(self._engine) as connection:
                    if floor is None:
                        floor = await questions.newest(connection)
                    rows = await questions.after(connection, floor)
            except TryLater:  # the database is away: the page says how old what it shows is
                rows = []
            fresh = tuple(row for row in rows if row.id not in seen)
            seen |= {row.id: clock() for row in fresh}
            if len(rows) == questions.LIMIT:  # a flood: keep up, readers look at everything anyway
                floor = rows[-1].id
            for number in [n for n, at in seen.items() if at < clock() - LATE_S]:
                floor = max(floor or 0, number)
                del seen[number]
            if fresh:
                self._tell(fresh)
            await asyncio.sleep(ASK_EVERY_S)

    def _tell(self, news: tuple[News, ...]) -> None:
        for reader in self._readers:
            if reader.full():
                reader.get_nowait()
            reader.put_nowait(news)
