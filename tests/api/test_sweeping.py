"""What is old goes, what counts stays."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from api.database import snapshot, transaction
from api.models import catalogue_change, change_feed, document, event, join_token, report
from api.moments import micros
from api.services import audit, sweeping
from api.services.ingest import store
from api.services.publishing import publish
from api.services.sweeping import sweep
from api.settings import SweepSettings
from tests.api.fleet_world import NOW, World, hosts, in_a_world
from tests.api.signing import SigningHost
from tests.api.test_ingest import a_report, reporting

KEEP = SweepSettings(report_days=30, reports_per_host=5, event_days=100, documents_per_host=2, refused_change_days=90)


async def rows(world: World, column: Any) -> list[Any]:
    """All values of a column, sorted."""
    async with snapshot(world.engine) as connection:
        return sorted(await connection.scalars(select(column)))


async def reported(world: World, host: str, numbers: range, days_ago: int) -> None:
    """Reports of a host that came so long ago."""
    async with transaction(world.engine) as connection:
        delivery = reporting(*(a_report(host, seq=n) for n in numbers))
        await store(connection, [(host, delivery)], NOW - timedelta(days=days_ago))


def test_old_reports_go_but_for_the_newest_of_a_host(database_url: str) -> None:
    """A host that fell silent 40 days ago keeps its last word; one that still speaks loses what is old."""

    async def work(world: World) -> list[int]:
        await reported(world, "silent", range(1, 4), 40)
        await reported(world, "alive", range(11, 14), 40)
        await reported(world, "alive", range(14, 16), 1)
        await sweep(world.engine, KEEP, NOW)
        return await rows(world, report.c.seq)

    assert in_a_world(database_url, work) == [3, 14, 15]


def test_more_reports_than_kept_go_oldest_first(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every host the newest five stay, however small the batches are."""
    monkeypatch.setattr(sweeping, "BATCH", 2)

    async def work(world: World) -> list[int]:
        await reported(world, "one", range(1, 10), 1)
        await reported(world, "two", range(21, 28), 1)
        await sweep(world.engine, KEEP, NOW)
        return await rows(world, report.c.seq)

    assert in_a_world(database_url, work) == [5, 6, 7, 8, 9, 23, 24, 25, 26, 27]


def test_the_document_that_counts_is_never_swept(database_url: str) -> None:
    """Of four revisions the newest two stay, and polls go on being answered."""

    async def work(world: World) -> tuple[list[int], int]:
        for days in range(4):
            world.now = NOW + timedelta(days=50 * days)
            await world.declare(hosts(1), f"round {days}")
            await publish(world.engine, world.publisher())
        await sweep(world.engine, KEEP, world.now)
        return await rows(world, document.c.revision), (await world.documents())["h00000"].revision

    assert in_a_world(database_url, work) == ([3, 4], 4)


def test_the_audit_log_loses_its_beginning_only(database_url: str) -> None:
    """What is left is still a whole chain."""

    async def work(world: World) -> tuple[list[int], object]:
        for days in (200, 150, 50, 1):
            async with transaction(world.engine) as connection:
                at = NOW - timedelta(days=days)
                await audit.append(connection, now=at, actor="command", action="a.b", subject="x/y")
        await sweep(world.engine, KEEP, NOW)
        async with snapshot(world.engine) as connection:
            broken = await audit.first_break(connection)
        return await rows(world, event.c.id), broken

    assert in_a_world(database_url, work) == ([3, 4], None)


def test_refused_changes_go_and_applied_ones_stay(database_url: str) -> None:
    """Who changed what is kept; what was refused long ago is not."""

    async def work(world: World) -> list[str]:
        for state, days in (("applied", 300), ("refused", 300), ("refused", 3)):
            at_us = micros(NOW - timedelta(days=days))
            async with transaction(world.engine) as connection:
                await connection.execute(
                    insert(catalogue_change).values(
                        ref=f"{state} {days}",
                        author="",
                        summary="",
                        source="api",
                        at_us=at_us,
                        state=state,
                        problems=b"[]",
                        changed=b"[]",
                    )
                )
        await sweep(world.engine, KEEP, NOW)
        return await rows(world, catalogue_change.c.ref)

    assert in_a_world(database_url, work) == ["applied 300", "refused 3"]


def test_tokens_that_ended_go(database_url: str) -> None:
    """A week after their end; those that count stay."""

    async def work(world: World) -> list[str]:
        async with transaction(world.engine) as connection:
            for name, days in (("long", -8), ("lately", -1), ("counts", 1)):
                ends = micros(NOW + timedelta(days=days))
                await connection.execute(
                    insert(join_token).values(
                        id=name, host="h", secret_hash="x", created_by="", created_us=1, expires_us=ends
                    )
                )
        await sweep(world.engine, KEEP, NOW)
        return await rows(world, join_token.c.id)

    assert in_a_world(database_url, work) == ["counts", "lately"]


def test_the_feed_is_kept_for_minutes(database_url: str) -> None:
    """Nobody reads it later."""

    async def work(world: World) -> list[str]:
        async with transaction(world.engine) as connection:
            for minutes in (60, 1):
                at_us = micros(NOW - timedelta(minutes=minutes))
                await connection.execute(insert(change_feed).values(at_us=at_us, topic="host", subject=str(minutes)))
        await sweep(world.engine, KEEP, NOW)
        return await rows(world, change_feed.c.subject)

    assert in_a_world(database_url, work) == ["1"]


def test_nothing_old_is_nothing_done(database_url: str) -> None:
    """A second sweep finds nothing."""

    async def work(world: World) -> tuple[int, int | None]:
        async with transaction(world.engine) as connection:
            await SigningHost("one").enrol(connection)
        await reported(world, "one", range(1, 10), 1)
        await sweep(world.engine, KEEP, NOW)
        again = await sweep(world.engine, KEEP, NOW)
        async with snapshot(world.engine) as connection:
            left = await connection.scalar(select(func.count()).select_from(report))
        return again.total, left

    assert in_a_world(database_url, work) == (0, 5)
