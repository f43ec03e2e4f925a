"""From the settings to the real adapters. Libraries that only some hosts need are loaded only by them."""

import random
import secrets
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from desired_state.request_signature import shared_key
from desired_state.trust import Trust
from puller.bundles import Bundles
from puller.calls.runner import ScriptRunner
from puller.clock import SystemClock
from puller.looking.glance import HostGlance
from puller.looking.proc import boot_id
from puller.metrics import Metrics
from puller.paths import Paths
from puller.ports import Artifacts, Sink, Source, Stalled
from puller.reconciling.parts import Parts
from puller.settings import Settings
from puller.store import open_store
from puller.transport.http_client import HttpClient
from puller.transport.signed_client import SignedClient
from puller.trust_file import TrustFile
from puller.version import agent_version

if TYPE_CHECKING:
    from puller.identity import HostKeys
    from puller.sources.git_access import GitAccess


@asynccontextmanager
async def open_parts(settings: Settings, paths: Paths) -> AsyncIterator[Parts]:
    """Every adapter of this host, closed again in the end. Raises Stalled for what a person must put right."""
    from puller.artifacts import ArtifactStore  # noqa: PLC0415 - after the settings are known to be right
    from puller.identity import load_keys  # noqa: PLC0415

    clock = SystemClock()
    async with AsyncExitStack() as stack:
        trust = TrustFile(paths.trust)
        client = await stack.enter_async_context(HttpClient(clock=clock, ca_file=settings.ca_file))
        signed = signed_client(settings, load_keys(paths.keys), trust, client, clock) if settings.backend_url else None
        store = await open_store(paths.database, lock=paths.lock)
        stack.push_async_callback(store.close)
        source = _source(settings, paths, signed)
        stack.push_async_callback(source.close)
        artifacts: Artifacts = ArtifactStore(
            paths.artifacts, client, signed=signed, local_folders=(*settings.artifact_dirs, paths.incoming)
        )
        yield Parts(
            host=settings.host,
            paths=paths,
            store=store,
            trust=trust,
            source=source,
            source_type=settings.source.type,
            sink=_sink(settings, signed),
            artifacts=artifacts,
            bundles=Bundles(paths.bundles),
            runner=ScriptRunner(),
            glance=HostGlance(),
            clock=clock,
            jitter=random.SystemRandom().random,
            new_id=lambda: f"{clock.now():%Y%m%d-%H%M%S}-{secrets.token_hex(4)}",
            metrics=_metrics(settings),
            boot_id=boot_id(),
            agent_version=agent_version(),
            own_address=lambda: signed.own_address if signed else "",
        )


def signed_client(
    settings: Settings, keys: "HostKeys", trust: TrustFile, client: HttpClient, clock: SystemClock
) -> SignedClient:
    """The backend as this host asks it; its key follows the trust file."""

    def key_of(trusted: Trust) -> bytes:
        backend = X25519PublicKey.from_public_bytes(b64decode(trusted.exchange_key))
        return shared_key(keys.sealing, backend, settings.host)

    signed = SignedClient(
        client, backend_url=settings.backend_url, host=settings.host, key=key_of(trust.trust), clock=clock
    )
    trust.on_change = lambda trusted: signed.use_key(key_of(trusted))
    return signed


def _source(settings: Settings, paths: Paths, signed: SignedClient | None) -> Source:
    source = settings.source
    if source.type == "directory" and source.path is not None:
        from puller.sources.directory import DirectorySource  # noqa: PLC0415

        return DirectorySource(source.path, host=settings.host)
    if source.type == "git":
        return _git_source(settings, paths)
    if signed is None:
        raise Stalled("backend_url is not set: enrol this host, or set a git or directory source")
    from puller.sources.http import HttpSource  # noqa: PLC0415

    return HttpSource(signed, host=settings.host)


def _git_source(settings: Settings, paths: Paths) -> Source:
    from puller.sources.git import GitSource  # noqa: PLC0415 - libgit2 costs memory

    return GitSource(git_access(settings), host=settings.host, folder=paths.state / "git")


def git_access(settings: Settings) -> "GitAccess":
    """How this host gets at its git source."""
    from puller.sources.git_access import GitAccess  # noqa: PLC0415

    source = settings.source
    return GitAccess(
        url=source.url,
        branch=source.branch,
        username=source.username,
        password_file=source.password_file,
        ssh_key_file=source.ssh_key_file,
        known_hosts_file=source.known_hosts_file,
        ca_file=source.ca_file or settings.ca_file,
    )


def _metrics(settings: Settings) -> Metrics | None:
    return Metrics(settings.metrics_dir, agent_version=agent_version()) if settings.metrics_dir else None


def _sink(settings: Settings, signed: SignedClient | None) -> Sink | None:
    if signed is None:
        return None
    from puller.transport.sink import BackendSink  # noqa: PLC0415

    return BackendSink(signed, host=settings.host)
