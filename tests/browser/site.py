"""A backend that a browser can reach, with a fleet in it, and who may sign in."""

import asyncio
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from api.backend import open_engine
from api.principal import COMMAND, Role
from api.services import sessions, tokens
from tests.api.house import settings_for
from tests.servers.process import ServerProcess, free_port

T = TypeVar("T")
ROOT = Path(__file__).parents[2]


class Site:
    """One running backend."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = settings_for(f"sqlite:///{folder / 'towline.db'}", folder)

    @contextmanager
    def running(self) -> Iterator["Site"]:
        """Serve until the end."""
        command = [sys.executable, "-m", "tests.browser.serve", self.folder, str(self.port)]
        process = ServerProcess(command, log=self.folder / "serve.log")
        process.wait_until(self._answers)
        try:
            yield self
        finally:
            process.stop()

    def run(self, work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
        """Do something with the database, beside the running backend."""

        async def within() -> T:
            async with open_engine(self.settings, pooled=False) as engine:
                return await work(engine)

        # In a thread of its own: playwright's loop runs in this one.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, within()).result()

    def link(self, role: Role = Role.OPERATOR) -> str:
        """An address that signs a person in, once."""

        async def make(engine: AsyncEngine) -> str:
            now = datetime.now(UTC)
            made = await tokens.create(engine, COMMAND, name="ines", role=role, now=now)
            return await sessions.create_link(engine, made.token.id, now=now, lasts=timedelta(hours=1))

        return f"{self.url}/signin?token={self.run(make)}"

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            return False
