"""A whole puller on a host in memory, with a real store, real signatures and a real bundle."""

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec

from desired_state.contract import BundleIndex, Effect, KindMeta, Parameter, Verb, VerbMeta
from desired_state.document import Artifact, Package, Service
from desired_state.names import digest_of
from desired_state.report import Condition, Status
from puller.bundles import Bundles
from puller.paths import Paths
from puller.reconciling.parts import Parts
from puller.reconciling.reconcile import PassEnd, Reconciler
from puller.store import Store, open_store
from puller.trust_file import TrustFile
from tests.core.publisher import HOST, note_of, trust_note
from tests.fakes.clock import FakeClock
from tests.fakes.script_host import FakeHost
from tests.fakes.transport import FakeSink, FakeSource

VERBS = tuple(verb for verb in Verb if verb not in (Verb.META, Verb.DISCOVER, Verb.TAKE_OVER, Verb.RELEASE))


def trivial_kind(kind: str = "trivial", *, side_by_side: bool = False) -> KindMeta:
    """A kind with one parameter of each effect."""
    return KindMeta(
        schema="towline.meta/1",
        kind=kind,
        holds_data=True,
        side_by_side=side_by_side,
        parameters=(
            *(Parameter(name=f"p_{effect}", type="string", default="0", effect=effect) for effect in Effect),
            Parameter(name="password", type="secret"),
        ),
        verbs={verb: VerbMeta(timeout_s=20) for verb in VERBS},
    )


def bundle_of(scripts: dict[str, str], *kinds: KindMeta) -> bytes:
    """A bundle's archive."""
    index = msgspec.json.encode(BundleIndex(kinds={kind.kind: kind for kind in kinds}))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in {**{k: v.encode() for k, v in scripts.items()}, "kinds.json": index}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@dataclass
class LocalArtifacts:
    """Artifacts that are on this disk already, or nowhere."""

    folder: Path
    missing: dict[str, Exception] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def put(self, data: bytes) -> Artifact:
        path = self.folder / "sha256" / digest_of(data).removeprefix("sha256:")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return Artifact(digest=digest_of(data), size=len(data), file="file.tar")

    async def ensure(self, artifact: Artifact, bases: Sequence[str]) -> Path:
        if artifact.digest in self.missing:
            raise self.missing[artifact.digest]
        return self.folder / "sha256" / artifact.digest.removeprefix("sha256:")

    def sweep(self, used: Collection[str], *, keep_bytes: int) -> int:
        self.used = set(used)
        return 0


@dataclass
class FakePuller:
    """What tests turn and look at."""

    host: FakeHost
    clock: FakeClock
    source: FakeSource
    sink: FakeSink
    artifacts: LocalArtifacts
    store: Store
    paths: Paths
    bundle: Artifact
    parts: Parts
    reconciler: Reconciler
    revision: int = 0

    def publish(self, *services: Service, **fields: Any) -> bytes:
        """Signs and publishes the next document."""
        self.revision = fields.pop("revision", self.revision + 1)
        note = note_of(
            revision=self.revision,
            services=tuple(sorted(services, key=lambda service: service.name)),
            **{
                "bundle": self.bundle,
                "issued_at": self.clock.wall,
                "expires_at": self.clock.wall + timedelta(days=90),
                **fields,
            },
        )
        self.source.put(note)
        return note

    async def run_pass(self, **options: Any) -> PassEnd:
        """One pass, a minute after the last."""
        self.clock.advance(60)
        return await self.reconciler.run_pass("schedule", **options)

    def restart(self) -> None:
        """The process ends and another one begins on the same disk."""
        self.reconciler = Reconciler(self.parts)

    async def rows(self) -> dict[str, int]:
        """How many rows each table has."""

        def count(db: Any) -> dict[str, int]:
            tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}  # noqa: S608

        return await self.store.read(count)


def condition(status: Status, name: str) -> Condition:
    """The condition of that type."""
    return next(condition for condition in status.conditions if condition.type == name)


def running(name: str = "one", **fields: Any) -> Service:
    """A running service of the trivial kind."""
    return Service(**{"name": name, "kind": "trivial", "version": "1.0", **fields})


def package(artifact: Artifact, version: str = "1.0") -> Package:
    """An artifact as a package."""
    return Package(digest=artifact.digest, size=artifact.size, file="p.tar", name="p", version=version)


@asynccontextmanager
async def fake_puller(folder: Path) -> AsyncIterator[FakePuller]:
    """A puller of a host that was enrolled and never had a document."""
    paths = Paths(folder)
    paths.state.mkdir(parents=True)
    paths.trust.write_bytes(trust_note())
    store = await open_store(paths.database)
    host, clock, source, sink = FakeHost(), FakeClock(), FakeSource(), FakeSink()
    artifacts = LocalArtifacts(paths.artifacts)
    bundle = artifacts.put(bundle_of({"trivialctl.sh": "exit 1\n"}, trivial_kind()))
    runs = iter(range(1, 1_000_000))

    parts = Parts(
        host=HOST,
        paths=paths,
        store=store,
        trust=TrustFile(paths.trust),
        source=source,
        source_type="http",
        sink=sink,
        artifacts=artifacts,
        bundles=Bundles(paths.bundles),
        runner=host,
        glance=host,
        clock=clock,
        jitter=lambda: 0.5,
        new_id=lambda: f"run-{next(runs):06d}",
        boot_id="boot",
        agent_version="0",
    )

    try:
        yield FakePuller(
            host=host,
            clock=clock,
            source=source,
            sink=sink,
            artifacts=artifacts,
            store=store,
            paths=paths,
            bundle=bundle,
            parts=parts,
            reconciler=Reconciler(parts),
        )
    finally:
        await store.close()


Story = Callable[[FakePuller], Awaitable[None]]


def on_a_host(folder: Path, story: Story) -> None:
    """Tells the story on a fresh host."""

    async def tell() -> None:
        async with fake_puller(folder) as puller:
            await story(puller)

    asyncio.run(tell())
