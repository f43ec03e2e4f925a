"""The backend as one process: it answers, its timers work, and it ends when it is told to."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from api.backend import open_backend, open_engine
from api.cli import main
from api.database import transaction
from api.principal import COMMAND, Role
from api.publish.target import document_path
from api.schedule import Schedule
from api.server import Publishing
from api.services import tokens
from api.services.publishing import Publication
from tests.api.serve_process import settings_of
from tests.api.signing import SigningHost
from tests.servers.process import free_port

TARGET = "/v1/hosts/alpha/document"


class Running:
    """A backend in a process of its own."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.settings = settings_of(database_url, folder, self.port)
        self.process: subprocess.Popen[bytes] | None = None
        self.alpha = self._within(self._enrol)
        self.token = self._within(self._token)
        command = [sys.executable, "-m", "tests.api.serve_process", database_url, str(folder), str(self.port)]
        self.process = subprocess.Popen(command)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """One request; the process may still be starting."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, sent, method=method)
        for _ in range(600):
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        raise AssertionError("the backend never answered")

    def poll(self) -> tuple[int, bytes]:
        """What alpha's poll gets."""
        signed = self.alpha.headers("GET", TARGET, created=datetime.now(UTC))
        return self.ask("GET", TARGET, **{name.replace("-", "_"): value for name, value in signed.items()})

    def until(self, fits: Callable[[], bool]) -> bool:
        """Whether it comes true in a minute."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if fits():
                return True
            time.sleep(0.05)
        return False

    def _within(self, work: Callable[[AsyncEngine], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            async with open_backend(self.settings, pooled=False):
                pass
            async with open_engine(self.settings, pooled=False) as engine:
                return await work(engine)

        return asyncio.run(run())

    async def _enrol(self, engine: AsyncEngine) -> SigningHost:
        async with open_backend(self.settings, pooled=False) as backend:
            host = SigningHost("alpha", b"a", backend.trusted.keys.exchange.public_key())
        async with transaction(engine) as connection:
            await host.enrol(connection)
        return host

    async def _token(self, engine: AsyncEngine) -> str:
        made = await tokens.create(engine, COMMAND, name="test", role=Role.ADMIN, now=datetime.now(UTC))
        return made.secret


@contextmanager
def running(database_url: str, folder: Path) -> Iterator[Running]:
    """A backend that runs; gone at the end."""
    backend = Running(database_url, folder)
    assert backend.process is not None
    try:
        yield backend
    finally:
        backend.process.kill()
        backend.process.wait()


def test_a_backend_serves_publishes_and_ends(database_url: str, tmp_path: Path) -> None:
    """A host is declared over REST, published by the timer, served, counted; SIGTERM ends it all with exit code 0."""
    with running(database_url, tmp_path) as backend:
        assert backend.poll()[0] == 404
        authorized = {
            "Authorization": f"Bearer {backend.token}",
            "Content_Type": "application/json",
            "If_None_Match": "*",
        }
        status, _ = backend.ask("PUT", "/v1/catalogue/hosts/alpha", b'{"host": "alpha"}', **authorized)
        assert status == 201
        assert backend.until(lambda: backend.poll()[0] == 200)
        in_folder = tmp_path / "www" / document_path("alpha")
        assert backend.until(in_folder.exists)
        assert backend.poll()[1] == in_folder.read_bytes()
        assert b"towline_polls_total" in backend.ask("GET", "/metrics")[1]
        assert backend.process is not None
        backend.process.send_signal(signal.SIGTERM)
        assert backend.process.wait(30) == 0


def test_a_job_that_fails_is_called_again() -> None:
    """An error ends one call, not the timer."""

    async def work() -> list[str]:
        calls: asyncio.Queue[str] = asyncio.Queue()

        async def fails() -> None:
            calls.put_nowait("called")
            raise RuntimeError("no")

        schedule = Schedule()
        schedule.every(0.02, "fails", fails)
        schedule.start()
        seen = [await asyncio.wait_for(calls.get(), 20) for _ in range(3)]
        await schedule.stop()
        return seen

    assert asyncio.run(work()) == ["called"] * 3


def test_what_runs_is_let_end() -> None:
    """Stopping waits for the job that is in the middle of something, and starts no other."""
    ended: list[int] = []

    async def work() -> None:
        begun = asyncio.Event()

        async def slow() -> None:
            begun.set()
            await asyncio.sleep(0.2)
            ended.append(1)

        schedule = Schedule()
        schedule.every(3600, "slow", slow)
        schedule.start()
        await begun.wait()
        await schedule.stop()

    asyncio.run(work())
    assert ended == [1]


def test_a_plan_is_asked_of_a_running_backend(tmp_path: Path) -> None:
    """`towline plan DIR --server`: exit code 2 and the host's first document; a token that nobody knows is refused."""
    tree = tmp_path / "tree" / "catalogue" / "hosts"
    tree.mkdir(parents=True)
    (tree / "beta.yaml").write_text("host: beta\n")
    with running(f"sqlite:///{tmp_path / 'towline.db'}", tmp_path) as backend:
        backend.poll()
        server = ["--server", f"http://127.0.0.1:{backend.port}", "--token-file", str(tmp_path / "token")]
        results = []
        for token in (backend.token, "towline_nobody"):
            (tmp_path / "token").write_text(token + "\n")
            results.append(CliRunner().invoke(main, ["plan", str(tmp_path / "tree"), *server]))
    assert [result.exit_code for result in results] == [2, 1]
    assert "beta  its first document: 0 steps" in results[0].output
    assert "401" in results[1].output


def test_trouble_that_goes_on_is_told_once() -> None:
    """Three ticks with the same trouble and one without: two lines."""
    answers = [Publication(waiting_for="no keys")] * 3 + [Publication()]

    class Backend:
        """Publishes as the test says."""

        async def publish(self, *, verify: bool) -> Publication:
            """The next answer."""
            return answers.pop(0)

    async def work() -> None:
        publishing = Publishing(Backend())  # type: ignore[arg-type]
        for _ in range(4):
            await publishing.publish()

    with capture_logs() as lines:
        asyncio.run(work())
    assert [line["event"] for line in lines] == ["not everything is published", "everything is published again"]


def test_a_second_backend_on_one_port_is_refused(tmp_path: Path) -> None:
    """Who starts it twice is told; the two do not share the port in silence."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as taken:
        port = taken.getsockname()[1]
        config = tmp_path / "towline.toml"
        config.write_text(f'[server]\nport = {port}\n[state]\nfolder = "{tmp_path}"\n')
        ended = CliRunner().invoke(main, ["--config", str(config), "serve"])
    assert 78 == ended.exit_code
    assert f"cannot listen on 127.0.0.1 port {port}" in ended.output
