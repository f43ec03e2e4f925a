"""Fixtures for every test: empty databases on each engine, and real git servers."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.middleware.maven import NoMaven
from tests.servers.agent_archive import agent_archive as built_agent_archive
from tests.servers.forward_proxy import ForwardProxy, forward_proxy
from tests.servers.git_https import NAME, GitOverHttps, git_over_https
from tests.servers.git_ssh import GitOverSsh, serve_git_over_ssh
from tests.servers.mariadb import mariadb_server
from tests.servers.sql_server import SqlServer


def database_engines(environ: dict[str, str]) -> list[str]:
    """Which engines the database tests run on here: MySQL is fetched from afar, so only where it is asked for (CI)."""
    return ["sqlite", "mariadb"] + (["mysql"] if environ.get("TOWLINE_TEST_MYSQL") == "1" else [])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that uses a database once for each engine."""
    if "database_engine" in metafunc.fixturenames:
        engines = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in database_engines(dict(os.environ))]
        metafunc.parametrize("database_engine", engines, scope="session")


@pytest.fixture(scope="session")
def sql_server(database_engine: str) -> Iterator[SqlServer | None]:
    """The server behind database_url; None for SQLite, which has none. One for each engine and pytest worker."""
    if database_engine == "sqlite":
        yield None
        return
    if database_engine == "mysql":
        from tests.servers.mysql import mysql_server  # noqa: PLC0415 - fetching it is for those who ask

        server = mysql_server()
    else:
        server = mariadb_server()
    yield server
    server.remove()


@pytest.fixture
def database_url(sql_server: SqlServer | None, tmp_path: Path) -> Iterator[str]:
    """SQLAlchemy's URL of a fresh, empty database. A test that uses it runs once for each engine."""
    if sql_server is None:
        yield f"sqlite+aiosqlite:///{tmp_path / 'towline.sqlite3'}"
        return
    name = sql_server.new_database()
    yield sql_server.url(name)
    sql_server.drop_database(name)


@pytest.fixture
def durable_mariadb() -> Iterator[SqlServer]:
    """A MariaDB of this test's own, with fsync on, to be killed and started again."""
    server = mariadb_server(durable=True)
    yield server
    server.remove()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """What is in Maven's repositories alone cannot be had on every machine: that is said, and no fault of the tests."""
    try:
        return (yield)
    except NoMaven as unavailable:
        pytest.skip(f"{item.name}: {unavailable}")


@pytest.fixture(autouse=True)
def own_proxies() -> Iterator[None]:
    """Commands that run in the process of the tests take over a host's proxies: not for the tests after them."""
    before = _proxies()
    yield
    for name in _proxies().keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


def _proxies() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}


@pytest.fixture
def git_ssh(tmp_path: Path) -> Iterator[GitOverSsh]:
    """An empty bare repository behind a real sshd, with keys and known_hosts lines."""
    served = serve_git_over_ssh(tmp_path / "git-ssh")
    yield served
    served.process.stop()


@pytest.fixture
def git_https(tmp_path: Path) -> Iterator[GitOverHttps]:
    """An empty bare repository over https with a private authority and basic auth."""
    with git_over_https(tmp_path / "git-https") as served:
        yield served


@pytest.fixture
def way_out() -> Iterator[ForwardProxy]:
    """A forward proxy with basic auth that alone knows the name of git_https (url_behind_proxy)."""
    with forward_proxy({NAME: "127.0.0.1"}) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def agent_archive() -> Path:
    """The agent's self-contained archive of this checkout. Variants of it: tests/servers/agent_archive.py."""
    return built_agent_archive()
