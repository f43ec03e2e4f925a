"""The audit log is appended by one after the other, and what is done to it afterwards is noticed."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from api.database import make_engine, snapshot, transaction
from api.models import event, event_head
from api.moments import micros
from api.repositories import events
from api.services import audit
from tests.api.house import START, House


async def _append(engine: Any, lines: int, actor: str = "test") -> None:
    for number in range(lines):
        async with transaction(engine) as connection:
            await audit.append(
                connection,
                now=START + timedelta(hours=number),
                actor=actor,
                action="test.done",
                subject=f"test/{number}",
                detail={"text": "ünïcode 🦊"},
            )


async def _first_break(engine: Any) -> int | None:
    async with snapshot(engine) as connection:
        return await audit.first_break(connection)


def test_a_log_nobody_touched_holds(house: House) -> None:
    """More lines than are read at once."""
    house.run(lambda engine: _append(engine, 30))
    assert house.run(_first_break) is None


def test_lines_written_at_once_stand_one_after_the_other(house: House) -> None:
    """Four writers with connections of their own: no number twice, no gap, the chain holds."""

    def write(name: str) -> None:
        async def alone() -> None:
            engine = make_engine(house.settings.database_url, pooled=False)
            try:
                await _append(engine, 10, actor=name)
            finally:
                await engine.dispose()

        asyncio.run(alone())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, "abcd"))

    async def numbers(engine: Any) -> list[int]:
        async with snapshot(engine) as connection:
            return [row.id for row in await events.after(connection, 0, limit=1000)]

    found = house.run(numbers)
    assert found == list(range(1, len(found) + 1))
    assert len(found) >= 40
    assert house.run(_first_break) is None


@pytest.mark.parametrize(
    ("tamper", "noticed"),
    [
        (update(event).where(event.c.id == 5).values(actor="somebody else"), 5),
        (update(event).where(event.c.id == 5).values(detail=b"{}"), 5),
        (update(event).where(event.c.id == 5).values(at_us=1), 5),
        (delete(event).where(event.c.id == 5), 6),
        (delete(event).where(event.c.id >= 20), 20),
        (update(event_head).values(event_id=100), 31),
    ],
)
def test_what_is_done_to_it_is_noticed(house: House, tamper: Any, noticed: int) -> None:
    """A word changed, a line taken out of the middle or off the end: the first bad line is named."""

    async def work(engine: Any) -> int | None:
        async with snapshot(engine) as connection:
            there = (await events.read_head(connection)).event_id
        await _append(engine, 30 - there)
        async with transaction(engine) as connection:
            await connection.execute(tamper)
        return await _first_break(engine)

    assert house.run(work) == noticed


def test_old_lines_are_swept_and_the_rest_still_holds(house: House) -> None:
    """Only the beginning goes, and never the newest line."""

    async def work(engine: Any) -> tuple[int, int | None, int]:
        await _append(engine, 30)
        async with transaction(engine) as connection:
            gone = await events.drop_older(connection, micros(START + timedelta(hours=10)), limit=1000)
        middle = await _first_break(engine)
        async with transaction(engine) as connection:
            await events.drop_older(connection, micros(START + timedelta(days=99)), limit=1000)
            left = len(await events.after(connection, 0, limit=1000))
        assert await _first_break(engine) is None
        return gone, middle, left

    gone, middle, left = house.run(work)
    assert gone >= 10
    assert (middle, left) == (None, 1)


def test_the_log_is_read_newest_first_in_pages(small_house: House) -> None:
    """`next` leads to older lines; `subject` narrows."""
    small_house.run(lambda engine: _append(engine, 5))
    first = small_house.ask("GET", "/v1/events?limit=3").json
    second = small_house.ask("GET", f"/v1/events?limit=100&after={first['next']}").json
    numbers = [line["id"] for line in first["items"] + second["items"]]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[-1] == 1
    narrow = small_house.ask("GET", "/v1/events?subject=test/3").json["items"]
    assert [line["detail"]["text"] for line in narrow] == ["ünïcode 🦊"]
