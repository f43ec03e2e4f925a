"""/v1/stream: whatever any replica writes is heard by every open page, and no stream holds the process up."""

import asyncio
import http.client
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api import feed as feeds
from api.controllers.stream import messages
from api.database import make_engine, migrate, transaction
from api.feed import Feed
from api.models import change_feed
from api.principal import COMMAND, Role
from api.repositories.feed import News
from api.services import tokens
from tests.api.house import House
from tests.browser.site import Site

T = TypeVar("T")
PATIENCE_S = 60.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask more often, so that tests wait less."""
    monkeypatch.setattr(feeds, "ASK_EVERY_S", 0.02)


def on_database(url: str, work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    """Run with a fresh database."""

    async def within() -> T:
        engine = make_engine(url, pooled=False)
        try:
            await migrate(engine)
            async with asyncio.timeout(PATIENCE_S * 3):
                return await work(engine)
        finally:
            await engine.dispose()

    return asyncio.run(within())


async def write(engine: AsyncEngine, *subjects: str) -> None:
    """What some replica writes."""
    async with transaction(engine) as connection:
        await add(connection, *subjects)


async def add(connection: AsyncConnection, *subjects: str, **values: int) -> None:
    """Lines of the feed, in a transaction."""
    for subject in subjects:
        await connection.execute(insert(change_feed).values(at_us=1, topic="host", subject=subject, **values))


async def subjects_of(news: AsyncIterator[tuple[News, ...]], count: int) -> list[str]:
    """The next so many subjects."""
    found: list[str] = []
    async for batch in news:
        found += [row.subject for row in batch]
        if len(found) >= count:
            return found
    return found


async def _following(feed: Feed) -> AsyncIterator[tuple[News, ...]]:
    """A reader whose feed has looked once, so that what is written from now on is news."""
    reader = feed.follow(idle_s=0.2)
    await anext(reader)
    return reader


def test_news_reach_every_reader_once(database_url: str) -> None:
    """Two pages of one process hear the same, in order, and not what was there before."""

    async def work(engine: AsyncEngine) -> list[list[str]]:
        await write(engine, "old")
        feed = Feed(engine, asyncio.Event())
        readers = [await _following(feed), await _following(feed)]
        await write(engine, "a", "b")
        await write(engine, "c")
        return [await subjects_of(reader, 3) for reader in readers]

    assert [["a", "b", "c"], ["a", "b", "c"]] == on_database(database_url, work)


def test_a_line_that_was_numbered_early_and_written_late_is_heard(database_url: str) -> None:
    """Transactions end in another order than their numbers: the smaller number comes after the larger one."""

    async def work(engine: AsyncEngine) -> list[str]:
        feed = Feed(engine, asyncio.Event())
        reader = await _following(feed)
        async with transaction(engine) as connection:
            await add(connection, "second", id=12)
        first = await subjects_of(reader, 1)
        async with transaction(engine) as connection:
            await add(connection, "first", id=11)
        return first + await subjects_of(reader, 1)

    assert ["second", "first"] == on_database(database_url, work)


def test_following_ends_when_the_process_is_told_to(tmp_path: Path) -> None:
    """At once, not at the next ping."""

    async def work(engine: AsyncEngine) -> str:
        closing = asyncio.Event()
        reader = Feed(engine, closing).follow(idle_s=3600)
        waiting = asyncio.create_task(subjects_of(reader, 1))
        await asyncio.sleep(0)
        closing.set()
        return f"heard {await asyncio.wait_for(waiting, PATIENCE_S)}"

    assert "heard []" == on_database(f"sqlite:///{tmp_path / 'towline.db'}", work)


def test_nobody_is_asked_when_nobody_reads(tmp_path: Path) -> None:
    """The task that asks the database ends with its last reader, and starts again with the next."""

    async def work(engine: AsyncEngine) -> list[bool]:
        feed = Feed(engine, asyncio.Event())
        reader = await _following(feed)
        task = feed._task
        assert task is not None
        await reader.aclose()  # type: ignore[attr-defined]
        await asyncio.wait_for(task, PATIENCE_S)
        again = await _following(feed)
        return [task.done(), feed._task is not task, await again.aclose() is None]  # type: ignore[attr-defined]

    assert [True, True, True] == on_database(f"sqlite:///{tmp_path / 'towline.db'}", work)


def test_the_feed_survives_a_database_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on asking, and what came meanwhile is told."""
    real, away = feeds.snapshot, [True]

    def sometimes(engine: AsyncEngine) -> object:
        if away[0]:
            raise feeds.TryLater("the database is away")
        return real(engine)

    async def work(engine: AsyncEngine) -> list[str]:
        feed = Feed(engine, asyncio.Event())
        away[0] = False
        reader = await _following(feed)
        away[0] = True
        await write(engine, "meanwhile")
        await anext(reader)
        away[0] = False
        return await subjects_of(reader, 1)

    monkeypatch.setattr(feeds, "snapshot", sometimes)
    assert ["meanwhile"] == on_database(f"sqlite:///{tmp_path / 'towline.db'}", work)


def test_what_a_browser_gets(tmp_path: Path) -> None:
    """A comment that opens the stream, then events named change with the subjects, each once."""

    async def work(engine: AsyncEngine) -> list[bytes]:
        feed = Feed(engine, asyncio.Event())
        reader = await _following(feed)
        stream = messages(feed)
        found = [(await anext(stream)).encode()]
        upcoming = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        await write(engine, "web-1", "web-1", "app-1")
        found.append((await asyncio.wait_for(upcoming, PATIENCE_S)).encode())
        await reader.aclose()  # type: ignore[attr-defined]
        await stream.aclose()  # type: ignore[attr-defined]
        return found

    opening, event = on_database(f"sqlite:///{tmp_path / 'towline.db'}", work)
    assert opening.startswith(b": following\r\nretry: 2000")
    assert b'event: change\r\ndata: ["host/app-1","host/web-1"]' in event


def test_only_who_may_look_may_listen(small_house: House) -> None:
    """Nobody without a session or a token."""
    assert 401 == small_house.ask("GET", "/v1/stream", role=None).status


def test_an_open_stream_hears_and_does_not_hold_the_process_up(tmp_path: Path) -> None:
    """Over real HTTP: the event arrives; on SIGTERM the stream ends, and with it the process."""
    site = Site(tmp_path)
    with site.running():
        token = _token(site)
        listener = http.client.HTTPConnection("127.0.0.1", site.port, timeout=PATIENCE_S)
        listener.request("GET", "/v1/stream", headers={"Authorization": f"Bearer {token}"})
        answer = listener.getresponse()
        assert "text/event-stream" in answer.headers["content-type"]
        assert answer.readline().startswith(b": following")
        deadline = time.monotonic() + PATIENCE_S
        heard = b""
        while not heard.startswith(b"data: ") and time.monotonic() < deadline:
            if heard in (b"", b"\r\n"):
                site.run(lambda engine: write(engine, "web-1"))
            heard = answer.readline()
        assert ["host/web-1"] == json.loads(heard.removeprefix(b"data: "))
        began = time.monotonic()
    took = time.monotonic() - began
    assert answer.read().endswith(b"")
    listener.close()
    assert took < PATIENCE_S, f"the open stream held the process up for {took:.1f} s"


def _token(site: Site) -> str:
    async def make(engine: AsyncEngine) -> str:
        made = await tokens.create(engine, COMMAND, name="reader", role=Role.VIEWER, now=datetime.now(UTC))
        return made.secret

    return site.run(make)
