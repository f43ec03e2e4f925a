"""`towline serve`: the front, the application behind it, and the timers, in one process and one event loop.

The front answers polls as soon as the database is open; the application, whose framework takes a second to import, is
loaded behind it meanwhile.
"""

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.server.embed import Server

from api.backend import Backend, open_backend
from api.errors import Misconfigured
from api.front import Front, Receive, Scope, Send
from api.principal import SCHEDULE
from api.services import tokens
from api.services.rolls import Held, waiting_hosts
from api.services.sweeping import sweep
from api.settings import Settings
from desired_state.names import HostName

if TYPE_CHECKING:
    from litestar import Litestar

    from api.as_code.catalogue_source import CatalogueSource
    from api.schedule import Schedule

VERIFY_S = 300
"""How often targets are opened though nothing is missing in them, to put right what others changed."""
SWEEP_S = 3600
STOP_S = 10
"""Requests that have not ended so long after the signal are cut off."""
_BACKLOG = 2048
_BACKPRESSURE = 20_000
"""Requests at once; open streams count."""
_log = structlog.get_logger()


class LateApp:
    """The application and the timers, started while polls are answered already; its requests wait until it is there."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._app: asyncio.Future[Litestar] = asyncio.get_running_loop().create_future()
        self._end = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request to the application."""
        app = await asyncio.shield(self._app)
        await app(scope, receive, send)  # type: ignore[arg-type]  # Litestar types scopes as TypedDicts

    async def run(self) -> None:
        """Start them, keep them until `end`, and end them: all in one task, as the application's lifespan demands."""
        app = await asyncio.to_thread(self._create)
        async with app.lifespan():
            gc.collect()
            gc.freeze()  # what is here stays: collecting it again and again makes the slowest requests slower
            self._app.set_result(app)
            schedule = make_schedule(self._backend)
            schedule.start()
            await self._end.wait()
            await schedule.stop()

    def end(self) -> None:
        """Let `run` return."""
        self._end.set()

    def _create(self) -> "Litestar":
        from api.app import create_app  # noqa: PLC0415 - see above: a second of imports

        return create_app(self._backend.settings, opened=self._opened)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Backend]:
        yield self._backend


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises Misconfigured, TryLater when it cannot start."""
    must_be_free(settings)
    async with open_backend(settings) as backend:
        late = LateApp(backend)
        front = Front(late, lambda: backend.engine, lambda: backend.trusted.keys.exchange, tally=backend.tally)
        server = _server(front, settings)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, backend.closing.set)
        serving = asyncio.create_task(server.serve())
        behind = asyncio.create_task(late.run())
        closing = asyncio.create_task(backend.closing.wait())
        _log.info("serving", url=settings.server.url)
        if not await tokens.admin_exists(backend.engine, now=backend.now()):
            _log.warning("nobody can sign in yet; run: towline token create --link")
        await asyncio.wait([serving, behind, closing], return_when=asyncio.FIRST_COMPLETED)
        backend.closing.set()  # open streams end themselves
        late.end()
        await behind
        server.stop()  # type: ignore[no-untyped-call]
        await serving
        await closing
    _log.info("ended")


def must_be_free(settings: Settings) -> None:
    """Raises Misconfigured where somebody listens already: the server would share the port, and nobody would know."""
    host, port = settings.server.host, settings.server.port
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        reason = f"cannot listen on {host} port {port}: {error.strerror}"
        raise Misconfigured(f"server.host, server.port: {reason}") from error


def make_schedule(backend: Backend) -> "Schedule":
    """All timers of this process."""
    from api.schedule import Schedule  # noqa: PLC0415 - as late as the application
    from api.services.importing import source_of  # noqa: PLC0415

    settings = backend.settings
    schedule = Schedule()
    if settings.catalogue.is_code:
        source = source_of(settings)
        schedule.every(settings.catalogue.poll_s, "import", lambda: _import(backend, source))
    publishing = Publishing(backend)
    schedule.every(settings.publish.poll_s, "publish", publishing.publish)
    backend.ingest.reported = lambda hosts: schedule.soon("publish") if publishing.waits_for(hosts) else None
    if backend.publisher.targets:
        schedule.every(VERIFY_S, "verify", lambda: publishing.publish(verify=True))
    schedule.every(SWEEP_S, "sweep", lambda: sweep(backend.engine, settings.sweep, backend.now()))
    return schedule


class Publishing:
    """The publisher's timer, and what it said last: trouble that goes on is one line in the log, not one a tick."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._trouble = ""
        self._waiting: frozenset[HostName] = frozenset()

    def waits_for(self, hosts: Collection[HostName]) -> bool:
        """Whether a report of one of these may be what a cluster waits for. Forgotten with the process: its timer
        finds out anew."""
        return not self._waiting.isdisjoint(hosts)

    async def publish(self, *, verify: bool = False) -> None:
        """Publish what changed, and tell what came of it."""
        done = await self._backend.publish(verify=verify)
        waiting = waiting_hosts(done.held)
        if waiting != self._waiting:
            self._waiting = waiting
            _log.info("clusters", held=len(done.held), waits_for=_awaited(done.held))
        if done.documents:
            _log.info("published", documents=done.documents, unchanged=done.unchanged)
        if done.trouble != self._trouble:
            self._trouble = done.trouble
            if done.trouble:
                _log.warning("not everything is published", reason=done.trouble)
            else:
                _log.info("everything is published again")


def _awaited(held: Held) -> list[HostName]:
    return sorted({hold.on for holds in held.values() for hold in holds})[:10]


async def _import(backend: Backend, source: "CatalogueSource") -> None:
    from api.services.importing import import_catalogue  # noqa: PLC0415

    done = await import_catalogue(backend.engine, source, SCHEDULE, shipped=backend.shipped, now=backend.now())
    if done.change:
        _log.info("catalogue", state=done.state, ref=done.ref, problems=len(done.problems))


def _server(front: Front, settings: Settings) -> Server:
    server = Server(
        front,
        address=settings.server.host,
        port=settings.server.port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=_BACKLOG,
        backpressure=_BACKPRESSURE,
        log_level=LogLevels.error,
        ssl_cert=settings.server.tls_cert_file,
        ssl_key=settings.server.tls_key_file,
    )
    server.workers_kill_timeout = STOP_S
    return server
