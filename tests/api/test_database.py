"""The schema is the same on every engine, and units of work end as they promise."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

import api.migrations
from api.database import make_engine, migrate, schema_version, snapshot, transaction
from api.errors import Misconfigured, TryLater
from api.models import catalogue_entry, event_head, lease, metadata


async def _with(url: str, work) -> object:  # type: ignore[no-untyped-def]
    engine = make_engine(url, pooled=False)
    try:
        await migrate(engine)
        return await work(engine)
    finally:
        await engine.dispose()


def test_migrations_make_what_the_models_say(database_url: str) -> None:
    """A migrated database has exactly the tables, columns and indexes of the models."""

    async def differences(engine: AsyncEngine) -> list[object]:
        async with snapshot(engine) as connection:
            return await connection.run_sync(lambda c: compare_metadata(MigrationContext.configure(c), metadata))

    assert asyncio.run(_with(database_url, differences)) == []


def test_a_migration_that_was_cut_off_can_be_run_again(database_url: str) -> None:
    """With half of the tables there and no version written (MySQL commits at each DDL), migrating still works."""

    async def repeat(engine: AsyncEngine) -> str:
        async with transaction(engine) as connection:
            await connection.execute(text("DROP TABLE alembic_version"))
            await connection.execute(text("DROP TABLE lease"))
        await migrate(engine)
        async with snapshot(engine) as connection:
            assert await connection.scalar(select(func.count()).select_from(lease)) == 0
            assert await connection.scalar(select(func.count()).select_from(event_head)) == 1
        return await schema_version(engine)

    assert asyncio.run(_with(database_url, repeat)) == api.migrations.HEAD


def test_replicas_that_start_at_once_migrate_once(database_url: str) -> None:
    """Two backends on one empty database both come up, however long the first one's commit takes."""

    def come_up(_replica: int) -> str:
        async def migrated() -> str:
            engine = make_engine(database_url, pooled=False)
            event.listen(engine.sync_engine, "commit", lambda _connection: time.sleep(1))
            try:
                await migrate(engine)
                return await schema_version(engine)
            finally:
                await engine.dispose()

        return asyncio.run(migrated())

    with ThreadPoolExecutor(3) as replicas:
        assert [api.migrations.HEAD] * 3 == list(replicas.map(come_up, range(3)))


def test_head_is_the_newest_migration_file() -> None:
    """HEAD, which is known without alembic, names the newest file."""
    folder = Path(api.migrations.__file__).parent / "versions"
    assert max(path.name[:4] for path in folder.glob("[0-9]*.py")) == api.migrations.HEAD


def test_names_compare_byte_for_byte(database_url: str) -> None:
    """`redis`, `Redis` and `rédis` are three names."""

    async def names(engine: AsyncEngine) -> list[str]:
        rows = [
            {"kind": "service", "name": name, "body": b"{}", "digest": "d", "change_id": 1}
            for name in ("redis", "Redis", "rédis", "🦊")
        ]
        async with transaction(engine) as connection:
            await connection.execute(insert(catalogue_entry), rows)
        async with snapshot(engine) as connection:
            found = await connection.scalars(select(catalogue_entry.c.name).order_by(catalogue_entry.c.name))
            return list(found)

    assert asyncio.run(_with(database_url, names)) == ["Redis", "redis", "rédis", "🦊"]


def test_a_failed_unit_of_work_leaves_nothing(database_url: str) -> None:
    """An exception rolls everything back."""

    async def count(engine: AsyncEngine) -> int:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with transaction(engine) as connection:
                await connection.execute(insert(lease).values(name="x", holder="me", fence=1, until_us=2))
                raise ZeroDivisionError
        async with snapshot(engine) as connection:
            return await connection.scalar(select(func.count()).select_from(lease)) or 0

    assert asyncio.run(_with(database_url, count)) == 0


def test_a_snapshot_sees_one_moment(database_url: str) -> None:
    """What others commit while a snapshot is read does not show in it."""

    async def count(engine: AsyncEngine) -> int:
        async with snapshot(engine) as reading:
            await reading.scalar(select(func.count()).select_from(lease))
            async with transaction(engine) as writing:
                await writing.execute(insert(lease).values(name="x", holder="me", fence=1, until_us=2))
            return await reading.scalar(select(func.count()).select_from(lease)) or 0

    assert asyncio.run(_with(database_url, count)) == 0


def test_a_unit_of_work_ends_at_its_deadline(database_url: str) -> None:
    """A database that does not answer does not hang us, and the work is undone."""

    async def wait_for_nothing(engine: AsyncEngine) -> int:
        with pytest.raises(TryLater, match="did not answer within"):  # noqa: PT012
            async with transaction(engine, deadline_s=0.2) as connection:
                await connection.execute(insert(lease).values(name="x", holder="me", fence=1, until_us=2))
                await asyncio.Event().wait()
        async with snapshot(engine) as connection:
            return await connection.scalar(select(func.count()).select_from(lease)) or 0

    assert asyncio.run(_with(database_url, wait_for_nothing)) == 0


def test_a_database_that_is_away_is_worth_another_try() -> None:
    """A refused connection is TryLater, which names what failed."""

    async def connect() -> None:
        engine = make_engine("mysql://towline:x@127.0.0.1:1/towline", pooled=False)
        async with transaction(engine):
            raise AssertionError("there is no server")

    with pytest.raises(TryLater, match="database"):
        asyncio.run(connect())


@pytest.mark.parametrize("url", ["", "nonsense", "postgresql://localhost/x", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_names_no_database_of_ours_is_refused(url: str) -> None:
    """The message names the setting."""
    with pytest.raises(Misconfigured, match=r"\[database\] url"):
        make_engine(url)
