"""One process of the backend: what its parts share. Nothing here outlives a restart, or needs to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import structlog
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import make_engine, migrate
from api.errors import Misconfigured, TryLater
from api.feed import Feed
from api.principal import SCHEDULE, Principal
from api.publish.artifacts import ArtifactStore
from api.publish.bundle import read_scripts, shipped_folder
from api.services import trust
from api.services.agents import agentctl_of
from api.services.ingest import Ingest
from api.services.inviting import Inviter
from api.services.publisher import make_publisher
from api.services.publishing import Publication, Publisher, publish
from api.services.trust import Trusted
from api.settings import Settings
from api.tally import Tally
from api.web.downloads import Downloads
from api.web.throttle import Throttle

Now = Callable[[], datetime]
_log = structlog.get_logger()


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


class Backend:
    """Settings, database, keys and clock of one process."""

    def __init__(self, settings: Settings, engine: AsyncEngine, trusted: Trusted, now: Now) -> None:
        self.settings = settings
        self.engine = engine
        self.trusted = trusted
        self.now = now
        self.throttle = Throttle()
        self.downloads = Downloads()
        self.tally = Tally()
        self.closing = asyncio.Event()
        """Set when the process was told to end: streams that wait end themselves."""

    @property
    def polls(self) -> int:
        """A host that missed so many is stale."""
        return self.settings.hosts.stale_after_polls

    @cached_property
    def feed(self) -> Feed:
        """What is new, for the pages that are open."""
        return Feed(self.engine, self.closing)

    @cached_property
    def shipped(self) -> dict[str, bytes]:
        """The scripts that come with towline. Raises Misconfigured when they are missing."""
        return read_scripts(shipped_folder())

    @cached_property
    def ingest(self) -> Ingest:
        """The door for what hosts send."""
        return Ingest(self.engine, self.now, self.tally)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        """Packages and bundles."""
        return ArtifactStore(self.settings.state_folder / "artifacts")

    @cached_property
    def inviter(self) -> Inviter:
        """What hosts are invited with. Raises Misconfigured when the shipped scripts are damaged."""
        return Inviter(base_url=self.settings.server.url, agentctl=agentctl_of(self.shipped), store=self.artifacts)

    @cached_property
    def publisher(self) -> Publisher:
        """Who publishes in this process."""
        return make_publisher(self.settings, self.trusted.keys.publisher, self.shipped, self.now)

    async def publish(self, *, verify: bool = False, wait_s: float = 0) -> Publication:
        """Bring documents and targets to what is declared; see `services.publishing.publish`."""
        await self._follow_trust()
        with self.tally.publishing.measured():
            try:
                done = await publish(self.engine, self.publisher, verify=verify, wait_s=wait_s)
            except TryLater:
                raise  # another replica is at it
            except BaseException:
                self.tally.publications["failed"] += 1
                raise
        self.tally.publications["complete" if done.complete else "incomplete"] += 1
        self.tally.documents += done.documents
        self.tally.target_problems |= {one.target: bool(one.problem) for one in done.deliveries}
        return done

    async def _follow_trust(self) -> None:
        """Take over keys that were rotated meanwhile, here or by another replica, without a restart.

        Where they are not here yet (replicas with copies of the keys), nothing is taken over: others publish, and
        `publish` here says what it waits for.
        """
        row = await trust.newest(self.engine)
        if row is None or (row.version == self.trusted.trust.version and self.trusted.signs):
            return
        try:
            found = await trust.current(self.engine, self.settings.keys_folder)
        except Misconfigured:
            return
        if found.signs:
            self.trusted = found
            self.__dict__.pop("publisher", None)  # made again, with the key that signs now
            _log.info("keys were rotated", version=found.trust.version, epoch=found.trust.epoch)

    @property
    def secure_cookies(self) -> bool:
        """Whether browsers reach us by https only."""
        return self.settings.server.url.startswith("https://")


@asynccontextmanager
async def open_backend(
    settings: Settings, *, by: Principal = SCHEDULE, now: Now = utc_now, pooled: bool = True
) -> AsyncIterator[Backend]:
    """The backend, its database migrated and its trust made; closed at the end. Raises Misconfigured, TryLater."""
    async with open_engine(settings, pooled=pooled) as engine:
        trusted = await trust.init(engine, settings.keys_folder, settings.server.url, by, now=now())
        backend = Backend(settings, engine, trusted, now)
        yield backend
        await backend.ingest.drain()


@asynccontextmanager
async def open_engine(settings: Settings, *, pooled: bool = True) -> AsyncIterator[AsyncEngine]:
    """The database, migrated; closed at the end. Raises Misconfigured, TryLater."""
    _make_state_folder(settings.state_folder)
    engine = make_engine(database_url(settings), pooled=pooled, ca_file=settings.database.ca_file)
    try:
        await migrate(engine)
        yield engine
    finally:
        await engine.dispose()


def database_url(settings: Settings) -> str:
    """The database's URL with its password. Raises Misconfigured."""
    file = settings.database.password_file
    if file is None:
        return settings.database_url
    try:
        password = file.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError) as error:
        raise Misconfigured(f"[database] password_file {file}: cannot be read, or is empty") from error
    return make_url(settings.database_url).set(password=password).render_as_string(hide_password=False)


def _make_state_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Misconfigured(f"[state] folder {folder}: cannot be made: {error}") from error
