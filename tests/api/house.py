"""A whole backend for tests: a real database, the real app, a clock that stands still, two kinds of service."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import create_app
from api.backend import Backend, open_backend, open_engine
from api.principal import COMMAND, Role
from api.services import tokens
from api.settings import Settings

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
T = TypeVar("T")

FAKE_CTL = """#!/usr/bin/env bash
[[ $1 == meta ]] && cat <<'JSON'
{"schema": "towline.meta/1", "kind": "KIND", "versions": ["7"], "ports": ["port"],
 "parameters": [{"name": "port", "type": "port", "default": "PORT"},
                {"name": "maxmemory", "type": "size", "default": "256mb"},
                {"name": "password", "type": "secret"}],
 "packages": [{"role": "server", "required": false}],
 "verbs": {"check_status": {"timeout_s": 5}, "install": {"timeout_s": 5}, "configure": {"timeout_s": 5},
           "start": {"timeout_s": 5}, "stop": {"timeout_s": 5}, "uninstall": {"timeout_s": 5}}}
JSON
"""
SHIPPED = {
    "common.sh": b"",
    "redisctl.sh": FAKE_CTL.replace("KIND", "redis").replace("PORT", "6379").encode(),
    "nginxctl.sh": FAKE_CTL.replace("KIND", "nginx").replace("PORT", "8080").encode(),
}


class House:
    """The backend, its client, and its clock."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.time = START
        self.backend: Backend | None = None
        self.app: Litestar = create_app(settings, opened=self._open)
        self._client: TestClient[Litestar] | None = None
        self._tokens: dict[str, str] = {}

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Backend]:
        async with open_backend(self.settings, now=lambda: self.time, pooled=False) as backend:
            backend.shipped = dict(SHIPPED)
            self.backend = backend
            yield backend

    @contextmanager
    def open(self) -> Iterator["House"]:
        """The app, running."""
        with TestClient(self.app, base_url="http://testserver.local") as client:
            self._client = client
            yield self

    @property
    def client(self) -> TestClient[Litestar]:
        """An HTTP client without cookies of its own making."""
        assert self._client is not None
        return self._client

    def later(self, **delta: float) -> None:
        """Let time pass."""
        self.time += timedelta(**delta)

    def run(self, work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
        """Do something with the database, on an engine and loop of its own."""

        async def within() -> T:
            async with open_engine(self.settings, pooled=False) as engine:
                return await work(engine)

        return asyncio.run(within())

    def token(self, role: Role = Role.ADMIN) -> str:
        """The secret of an API token of that role."""
        if role not in self._tokens:
            made = self.run(lambda engine: tokens.create(engine, COMMAND, name=role, role=role, now=self.time))
            self._tokens[role] = made.secret
        return self._tokens[role]

    def ask(
        self, method: str, path: str, body: Any = None, *, role: Role | None = Role.ADMIN, **headers: str
    ) -> "Answer":
        """One request with a token of that role; header names with `_` for `-`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if role is not None:
            sent["Authorization"] = f"Bearer {self.token(role)}"
        content = body if isinstance(body, bytes | None) else msgspec.json.encode(body)
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        response = self.client.request(method, path, content=content, headers=sent, follow_redirects=False)
        return Answer(response.status_code, response.content, dict(response.headers))


class Answer:
    """What came back."""

    def __init__(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.status = status
        self.content = content
        self.headers = headers

    @property
    def json(self) -> Any:
        """The body, as JSON."""
        return msgspec.json.decode(self.content)

    @property
    def problems(self) -> list[tuple[str, str]]:
        """Pointer and message of each problem."""
        return [(one["pointer"], one["message"]) for one in self.json.get("problems", [])]

    def __repr__(self) -> str:
        return f"<{self.status} {self.content[:500]!r}>"


def settings_for(database_url: str, folder: Path, **sections: Any) -> Settings:
    """Settings with that database, all else below that folder."""
    table = {"database": {"url": database_url}, "state": {"folder": folder / "state"}, **sections}
    return msgspec.convert(table, Settings, dec_hook=lambda kind, value: kind(value))
