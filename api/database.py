"""Engines and transactions: everything about a database that is not a question to it.

What is known of the drivers is met here and nowhere else.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from api.errors import Misconfigured, TryLater
from api.migrations import HEAD

DEADLINE_S = 15.0
"""One unit of work takes no longer: aiomysql knows no read timeout, and a lost server would hang us for ever."""
_MIGRATION_DEADLINE_S = 600.0
_MIGRATION_LOCK_S = 300
_DRIVERS = {"sqlite": "sqlite+aiosqlite", "mysql": "mysql+aiomysql", "mariadb": "mysql+aiomysql"}
_READ_ONLY = "towline_read_only"

# MySQL's and MariaDB's errors after which nothing was done and the same work may succeed: lock wait timeout, deadlock,
# changed since read, too many connections, server going down, server gone, lost connection, cannot connect.
_PASSING = frozenset({1205, 1213, 1020, 1040, 1053, 2003, 2006, 2013, 2014, 4031})


def make_engine(url: str, *, pooled: bool = True, ca_file: Path | None = None) -> AsyncEngine:
    """An engine for `sqlite:///path`, `mysql://…` or `mariadb://…`; the drivers are chosen here.

    `pooled=False` opens a connection for each unit of work: an engine must not be shared between event loops. Whoever
    makes an engine disposes of it. Raises Misconfigured for a URL that is none of these.
    """
    parsed = _url(url)
    pool: dict[str, Any] = {} if pooled else {"poolclass": NullPool}
    if parsed.get_backend_name() == "sqlite":
        engine = create_async_engine(parsed, connect_args={"timeout": 10.0}, **pool)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    if pooled:
        # A server or a firewall drops quiet connections; a ping costs less than a failed request.
        pool = {"pool_pre_ping": True, "pool_recycle": 1800, "pool_size": 10, "max_overflow": 10, "pool_timeout": 10}
    return create_async_engine(
        parsed.update_query_dict({"charset": "utf8mb4"}),
        # Under REPEATABLE READ, MariaDB 11 refuses to lock a row that changed after the first read (error 1020).
        isolation_level="READ COMMITTED",
        connect_args=_mysql_arguments(ca_file),
        **pool,
    )


@asynccontextmanager
async def transaction(engine: AsyncEngine, *, deadline_s: float = DEADLINE_S) -> AsyncIterator[AsyncConnection]:
    """One unit of work that writes: committed at the end, rolled back by any exception.

    On SQLite it holds the write lock from its beginning (BEGIN IMMEDIATE), so it can never fail half way for a lock.
    Raises TryLater when the database is away, busy or too slow; nothing was written then, unless the connection broke
    during the commit itself: writes are idempotent for that reason.
    """
    async with _unit(engine, deadline_s, read_only=False) as connection:
        yield connection


@asynccontextmanager
async def snapshot(engine: AsyncEngine, *, deadline_s: float = DEADLINE_S) -> AsyncIterator[AsyncConnection]:
    """One unit of work that only reads, all of it from one moment. Never waits for a writer. Raises TryLater."""
    async with _unit(engine, deadline_s, read_only=True) as connection:
        yield connection


async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema to what this version needs. Several replicas may do it at once."""
    if await schema_version(engine) == HEAD:
        return
    async with _one_at_a_time(engine), transaction(engine, deadline_s=_MIGRATION_DEADLINE_S) as connection:
        await connection.run_sync(_upgrade)


async def schema_version(engine: AsyncEngine) -> str:
    """The migration that the database is at; empty before the first."""
    async with snapshot(engine) as connection:
        if not await connection.run_sync(lambda sync: sync.dialect.has_table(sync, "alembic_version")):
            return ""
        return str(await connection.scalar(text("SELECT version_num FROM alembic_version")) or "")


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - 0.2 s of imports that a start with nothing to migrate does not need
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@asynccontextmanager
async def _one_at_a_time(engine: AsyncEngine) -> AsyncIterator[None]:
    """Held on a connection of its own, until what was migrated is committed: the next one must see it."""
    if engine.dialect.name == "sqlite":  # there, BEGIN IMMEDIATE lets one in at a time
        yield
        return
    async with transaction(engine, deadline_s=_MIGRATION_LOCK_S + _MIGRATION_DEADLINE_S + DEADLINE_S) as connection:
        if await connection.scalar(text(f"SELECT GET_LOCK('towline_migrate', {_MIGRATION_LOCK_S})")) != 1:
            raise TryLater(
                "another backend has been migrating the database for five minutes; start again when it is done"
            )
        try:
            yield
        finally:
            await connection.execute(text("SELECT RELEASE_LOCK('towline_migrate')"))


@asynccontextmanager
async def _unit(engine: AsyncEngine, deadline_s: float, *, read_only: bool) -> AsyncIterator[AsyncConnection]:
    try:
        async with asyncio.timeout(deadline_s), engine.connect() as connection:
            await _prepare(connection, read_only=read_only)
            async with connection.begin():
                yield connection
    except TimeoutError as error:
        raise TryLater(
            f"the database did not answer within {deadline_s:g} s; is it reachable and not overloaded?"
        ) from error
    except DBAPIError as error:
        if not _passes(error):
            raise
        raise TryLater(f"the database is away or busy: {error.orig}") from error
    except OSError as error:  # aiomysql lets some refused connections through as they are
        raise TryLater(f"the database cannot be reached: {error}") from error


async def _prepare(connection: AsyncConnection, *, read_only: bool) -> None:
    if not read_only:
        return
    if connection.dialect.name == "sqlite":
        await connection.execution_options(**{_READ_ONLY: True})
    else:
        await connection.execution_options(isolation_level="REPEATABLE READ")


def _passes(error: DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    if not isinstance(error, OperationalError):
        return False
    first = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return first in _PASSING or "database is locked" in str(error.orig)


def _url(url: str) -> URL:
    try:
        parsed = make_url(url)
        driver = _DRIVERS[parsed.get_backend_name()]
    except (ArgumentError, NoSuchModuleError, KeyError) as error:
        raise Misconfigured(
            "[database] url must look like sqlite:////var/lib/towline/towline.db or mysql://user:password@host/towline"
        ) from error
    if driver.startswith("sqlite") and parsed.database in {None, "", ":memory:"}:
        raise Misconfigured("[database] url: SQLite needs a file; a database in memory would be lost with the process")
    return parsed.set(drivername=driver)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours: the driver's own comes too late to hold a lock
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _mysql_arguments(ca_file: Path | None) -> dict[str, Any]:
    from api.mysql_connection import connect  # noqa: PLC0415 - a backend on SQLite does without the driver

    arguments: dict[str, Any] = {
        "async_creator_fn": connect,
        "connect_timeout": 10,
        # A value that does not fit is an error, not a shorter value. Locks are waited for less long than the deadline.
        "init_command": "SET SESSION sql_mode='TRADITIONAL', innodb_lock_wait_timeout=10, time_zone='+00:00'",
    }
    if ca_file is not None:
        arguments["ssl"] = ssl.create_default_context(cafile=str(ca_file))  # aiomysql#978: only as a context
    return arguments
