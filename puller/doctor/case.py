"""What the checks look at: this host's settings, its servers, its database. Read once, changed by nobody."""

import asyncio
import os
import sqlite3
from collections.abc import Coroutine, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct

from desired_state.trust import Trust
from puller.clock import SystemClock
from puller.doctor.finding import NotNow
from puller.doctor.target import DEFAULT_PORTS, Target, target_of
from puller.paths import Paths
from puller.ports import Fetched, Stalled, Unavailable
from puller.proxy_file import is_proxy_variable, of_the_agent
from puller.settings import Misconfigured, Settings, load_settings
from puller.store import read_store
from puller.transport.http_client import Answer, Deadlines, HttpClient, shown
from puller.transport.signed_client import SignedClient
from puller.trust_file import TrustFile, read_trust

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_S = 15.0
"""So long one check may take. They run side by side."""
QUICK = Deadlines(connect_s=8, read_s=8, write_s=8, total_s=12)


class Poll(Struct, frozen=True, kw_only=True):
    """What came of asking the backend for this host's document, signed."""

    answer: Answer | None = None
    error: Stalled | Unavailable | None = None
    asked: str = ""


class Case:
    """This host, as the checks see it."""

    def __init__(self, paths: Paths, environ: Mapping[str, str]) -> None:
        self.paths = paths
        self.clock = SystemClock()
        self.environ = _environment_of_the_agent(paths, environ)
        self.settings: Settings | None = None
        self.settings_problem = ""
        self._memo: dict[str, asyncio.Task[Any]] = {}
        try:
            self.settings = load_settings(paths, environ)
        except Misconfigured as error:
            self.settings_problem = str(error)
        except PermissionError as error:
            self.settings_problem = f"{error.filename}: {error.strerror}"

    def known_settings(self) -> Settings:
        """The settings. Raises NotNow without them."""
        if self.settings is None:
            raise NotNow("the settings cannot be used")
        return self.settings

    @property
    def targets(self) -> tuple[Target, ...]:
        """The servers that this host needs. Raises NotNow, Stalled."""
        settings = self.known_settings()
        found = []
        if settings.backend_url:
            parts = urlsplit(settings.backend_url)
            port = parts.port or DEFAULT_PORTS[parts.scheme]
            found.append(target_of("backend", parts.scheme, parts.hostname or "", port, self.environ))
        if settings.source.type == "git":
            from puller.sources.git_address import address_of  # noqa: PLC0415

            address = address_of(settings.source.url)
            if address.is_remote:
                found.append(target_of("git", address.scheme, address.host, address.port, self.environ))
        return tuple(found)

    def target(self, role: str) -> Target:
        """One of them. Raises NotNow when this host needs none such."""
        for target in self.targets:
            if target.role == role:
                return target
        raise NotNow(f"this host has no {role} to reach")

    def trust(self) -> Trust:
        """Whom this host believes. Raises NotNow."""
        try:
            return read_trust(self.paths.trust)
        except Stalled as error:
            raise NotNow("the trust file cannot be used") from error

    @contextmanager
    def database(self) -> "Iterator[sqlite3.Connection]":
        """The database, for reading. Raises NotNow where there is none, sqlite3.Error."""
        if not self.paths.database.exists():
            raise NotNow("there is no database yet: no pass was ever made")
        db = read_store(self.paths.database)
        try:
            yield db
        finally:
            db.close()

    async def poll(self) -> Poll:
        """The backend's answer to a signed poll; asked once for all checks. Raises NotNow, Stalled."""
        poll: Poll = await self._once("poll", self._poll)
        return poll

    async def fetched(self) -> Fetched:
        """What the source of documents gives. Raises NotNow, Unavailable, Stalled."""
        from puller.doctor.source import fetch  # noqa: PLC0415

        fetched: Fetched = await self._once("fetched", lambda: fetch(self))
        return fetched

    async def _once(self, name: str, work: Any) -> Any:
        if name not in self._memo:
            started: Coroutine[Any, Any, Any] = work()
            self._memo[name] = asyncio.create_task(started)
        return await asyncio.shield(self._memo[name])

    async def _poll(self) -> Poll:
        from puller.identity import load_keys  # noqa: PLC0415
        from puller.wiring import signed_client  # noqa: PLC0415

        settings = self.known_settings()
        target = self.target("backend")
        await self.reachable(target)
        async with HttpClient(clock=self.clock, ca_file=settings.ca_file, deadlines=QUICK) as client:
            self.trust()
            try:
                keys = load_keys(self.paths.keys)
            except Stalled as error:
                raise NotNow("the host's keys cannot be used") from error
            signed = signed_client(settings, keys, TrustFile(self.paths.trust), client, self.clock)
            return await _ask(signed, f"/v1/hosts/{settings.host}/document")

    async def unreachable(self, target: Target) -> str:
        """Why its first hop cannot be connected to; empty when it can."""
        from puller.doctor.network import connect  # noqa: PLC0415

        return str(await self._once(f"connect {target.first_hop}", lambda: connect(target.first_hop)))

    async def reachable(self, target: Target) -> None:
        """Raises NotNow when its first hop cannot even be connected to: nothing above that needs a try."""
        if await self.unreachable(target):
            raise NotNow(f"{target.shown} cannot be connected to")

    async def close(self) -> None:
        """Ends what still runs."""
        for task in self._memo.values():
            task.cancel()
        await asyncio.gather(*self._memo.values(), return_exceptions=True)


async def _ask(signed: SignedClient, path: str) -> Poll:
    from puller.sources.published_tree import MAX_SOURCE_BYTES  # noqa: PLC0415

    url = signed.address(path)
    asked = f"GET {shown(url)}"
    try:
        answer = await signed.http.ask("GET", url, max_bytes=MAX_SOURCE_BYTES, headers=signed.signature("GET", url))
    except (Stalled, Unavailable) as error:
        return Poll(error=error, asked=asked)
    try:
        signed.refuse(answer, asked)
    except (Stalled, Unavailable) as error:
        return Poll(answer=answer, error=error, asked=asked)
    return Poll(answer=answer, asked=asked)


def _environment_of_the_agent(paths: Paths, environ: Mapping[str, str]) -> dict[str, str]:
    """With the agent's proxies, for every HTTP library of this process too: they look into its environment."""
    try:
        found = of_the_agent(paths.proxies, environ)
    except OSError:
        return dict(environ)
    for name in [name for name in os.environ if is_proxy_variable(name) and name not in found]:
        del os.environ[name]
    os.environ.update({name: value for name, value in found.items() if is_proxy_variable(name)})
    return found
