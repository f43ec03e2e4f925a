"""A secret from the command line to the software, and a canary: searched for everywhere, found where it must be."""

import asyncio
import os
import secrets
import sqlite3
import subprocess
import zlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import quote, quote_plus

from sqlalchemy import select

from api.database import make_engine, snapshot
from api.models import metadata
from tests.end_to_end.demo.machine import Machine
from tests.end_to_end.demo.wire import redis_ask
from tests.end_to_end.world import World
from tests.servers.process import free_ports
from tests.servers.sql_server import SqlServer

PLACES_IN_MEMORY = (Path("/run"), Path("/dev/shm"), Path(os.environ.get("XDG_RUNTIME_DIR") or "/dev/shm"))


def new_canary() -> str:
    """A password that stands nowhere else, and looks different in a URL, in base64 and in hex."""
    return f"Canary+{secrets.token_hex(12)}/{{x}} %=&"


def forms(value: str) -> list[bytes]:
    """The value as it is, and as somebody might have written it."""
    data = value.encode()
    # what is certain of its base64, at each place that it may begin in a text
    encoded = [b64encode(bytes(n) + data)[4 : (n + len(data)) // 3 * 4] for n in range(3)]
    return [
        data,
        *encoded,
        data.hex().encode(),
        *(text.encode() for text in (quote(value, safe=""), quote(value), quote_plus(value))),
    ]


class Watch:
    """Looks at every process of the machine, again and again: what stands in a command line or an environment."""

    def __init__(self, *values: str) -> None:
        self._forms = [form for value in values for form in forms(value)]
        self.seen: set[str] = set()
        self.looks = 0

    @contextmanager
    def on(self) -> Iterator["Watch"]:
        """While this block runs."""
        ended = Event()

        def watch() -> None:
            while not ended.wait(0.02):
                self.look()

        thread = Thread(target=watch)
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join()

    def look(self) -> None:
        """Once at every process."""
        self.looks += 1
        for folder in Path("/proc").glob("[0-9]*"):
            for name in ("cmdline", "environ"):
                try:
                    data = (folder / name).read_bytes()
                except OSError:  # it ended, or is somebody else's
                    continue
                if any(form in data for form in self._forms):
                    self.seen.add(f"{folder.name}/{name}: {data[:200]!r}")


def with_password(world: World, port: int) -> str:
    """The entry of a Valkey with a password."""
    return world.valkey_on("db-1", "cache", port) + "secrets: {password: redis-main}\n"


def in_files(root: Path, value: str) -> set[str]:
    """Files below a folder, by their path in it, that hold the value in some form."""
    wanted = forms(value)
    found = set()
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            found |= {str(path.relative_to(root)) for form in wanted if form in data}
    return found


def in_git(repository: Path, value: str) -> bool:
    """Whether some object of the repository holds it."""
    command = ["git", f"--git-dir={repository}", "cat-file", "--batch", "--batch-all-objects"]
    data = subprocess.run(command, capture_output=True, check=True).stdout
    assert b"towline.document/1" in data
    return any(form in data for form in forms(value))


async def in_rows(url: str, value: str) -> set[str]:
    """Tables of the backend with a row that holds it, reports unpacked."""
    engine, found = make_engine(url, pooled=False), set()
    try:
        async with snapshot(engine) as connection:
            for name, table in metadata.tables.items():
                for row in await connection.execute(select(table)):
                    found |= {name for cell in row for form in forms(value) if form in as_bytes(cell)}
    finally:
        await engine.dispose()
    return found


def in_host_rows(machine: Machine, value: str) -> set[str]:
    """Tables of the host with a row that holds it, what waits to be sent unpacked."""
    found = set()
    with closing(sqlite3.connect(machine.prefix / "state" / "towline.db")) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in db.execute(f'SELECT * FROM "{name}"'):  # noqa: S608 - a name of our own table
                found |= {name for cell in row for form in forms(value) if form in as_bytes(cell)}
    return found


def as_bytes(cell: Any) -> bytes:
    """A cell's bytes, and what they are when they are unpacked."""
    data = cell if isinstance(cell, bytes) else str(cell).encode()
    try:
        return data + zlib.decompress(data)
    except zlib.error:
        return data


def everywhere(world: World, machine: Machine, sql: SqlServer | None, url: str, value: str) -> set[str]:
    """Wherever the value is, by a name of the place."""
    found = in_files(world.folder, value)
    found |= {f"rows of {name}" for name in asyncio.run(in_rows(url, value))}
    found |= {f"rows of the host: {name}" for name in in_host_rows(machine, value)}
    found |= {"git"} if in_git(world.published, value) else set()
    if sql is not None:
        found |= {f"server: {name}" for name in in_files(sql.folder, value)}
    for place in PLACES_IN_MEMORY:
        found |= {f"memory: {name}" for name in in_files_of_ours(place, value)}
    return found


def in_files_of_ours(place: Path, value: str) -> set[str]:
    """What towline left in memory."""
    return {name for folder in place.glob("towline-secrets-*") for name in in_files(folder, value)}


def served(world: World) -> bytes:
    """What REST and the page tell of host, service, runs, events, document and secrets."""
    paths = (
        "/v1/secrets",
        "/v1/events",
        "/v1/fleet",
        "/v1/hosts/db-1",
        "/v1/hosts/db-1/runs",
        "/v1/catalogue/services",
    )
    texts = [str(world.backend.ask(path)) for path in paths]
    world.backend.sign_in_to_page()
    return "\n".join([*texts, *(world.backend.page(path) for path in ("/hosts/db-1", "/services", "/events"))]).encode()


def test_a_canary_is_where_the_software_needs_it_and_nowhere_else(
    git_world: World, database_url: str, sql_server: SqlServer | None
) -> None:
    """Set, sealed, published to git, opened, applied, rotated: its bytes are in the service's own file only."""
    world, port = git_world, free_ports(1)[0]
    first, second = new_canary(), new_canary()
    with (world.backend.folder / "towline.toml").open("a") as config:
        config.write(f'[database]\nurl = "{database_url}"\n')
    with Watch(first, second).on() as watch:
        assert world.backend.run("secret", "set", "redis-main", given=f"{first}\n") == "redis-main v1\n"
        world.open()
        machine = world.host("db-1", git_source=world.published)
        world.declare(cache=with_password(world, port))
        machine.start(world.processes)
        world.until_standing("db-1", "converged")
        assert redis_ask(port, "PING") == "-NOAUTH Authentication required."
        assert redis_ask(port, "AUTH", first) == "OK"
        own_file = "hosts/db-1/services/cache/etc/password.conf"
        assert everywhere(world, machine, sql_server, database_url, first) == {own_file}

        pid = machine.pid("cache")
        world.processes.stop(machine.agent)  # what it has not done yet can be planned
        assert world.backend.run("secret", "set", "redis-main", given=second) == "redis-main v2\n"
        plan = world.backend.run("plan", str(world.catalogue.tree), accept=(2,))
        assert "interrupts: cache (restart): secret password: version 1 -> 2" in plan
        world.publish()
        machine.start(world.processes)
        world.until("the new password counts", lambda: None if redis_ask(port, "AUTH", second) == "OK" else "not yet")
        world.until_standing("db-1", "converged")
        assert (True, True) == (redis_ask(port, "AUTH", first) != "OK", machine.pid("cache") != pid)
        assert everywhere(world, machine, sql_server, database_url, second) == {own_file}
        assert everywhere(world, machine, sql_server, database_url, first) == set()
        told = served(world)
        assert [form for form in (*forms(first), *forms(second)) if form in told] == []
        assert b"secret redis-main v2" in told
    assert (set(), True) == (watch.seen, watch.looks > 10)


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """A canary that was spilled in each form is found: in a file, and in a process."""
    value = new_canary()
    for number, form in enumerate(
        (value, b64encode(f"ab{value}".encode()).decode(), value.encode().hex(), quote(value))
    ):
        (tmp_path / str(number)).write_text(f"log: {form} end")
    watch = Watch(value)
    with subprocess.Popen(["sleep", "60"], env={"SPILLED": value}) as process:
        watch.look()
        process.kill()
    assert ({"0", "1", "2", "3"}, 1) == (in_files(tmp_path, value), len(watch.seen))
