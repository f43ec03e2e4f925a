"""The database fixtures give what they promise."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.conftest import database_engines
from tests.servers.sql_server import SqlServer


async def _value(url: str, *statements: str) -> object:
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            for statement in statements[:-1]:
                await connection.execute(text(statement))
            return (await connection.execute(text(statements[-1]))).scalar()
    finally:
        await engine.dispose()


def test_a_database_is_empty_and_writable(database_url: str) -> None:
    """A test gets an empty database, keeps text in it, and gets the same text back."""
    stored = asyncio.run(
        _value(
            database_url,
            "CREATE TABLE note (body VARCHAR(20))",
            "INSERT INTO note VALUES ('héllo 🦊')",
            "SELECT body FROM note",
        )
    )
    assert stored == "héllo 🦊"


def test_a_second_test_sees_nothing_of_the_first(database_url: str) -> None:
    """The table of the test above can be made anew: each test has a database of its own."""
    assert asyncio.run(_value(database_url, "CREATE TABLE note (body INT)", "SELECT COUNT(*) FROM note")) == 0


def test_a_killed_server_keeps_what_was_committed(durable_mariadb: SqlServer) -> None:
    """After SIGKILL and a restart on the same port, the URL works and the committed row is there."""
    url = durable_mariadb.url(durable_mariadb.new_database())
    asyncio.run(_value(url, "CREATE TABLE t (n INT)", "INSERT INTO t VALUES (7)", "SELECT 1"))
    durable_mariadb.kill()
    durable_mariadb.start()
    assert asyncio.run(_value(url, "SELECT n FROM t")) == 7


def test_mysql_runs_only_where_it_is_asked_for() -> None:
    """SQLite and MariaDB are tested everywhere; MySQL where TOWLINE_TEST_MYSQL=1, as in CI."""
    assert database_engines({}) == ["sqlite", "mariadb"]
    assert database_engines({"TOWLINE_TEST_MYSQL": "1"}) == ["sqlite", "mariadb", "mysql"]
