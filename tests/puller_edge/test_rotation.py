"""Keys are rotated while a backend serves and a host polls: the host follows, and believes no withdrawn key."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from api.backend import open_engine
from api.principal import COMMAND
from api.publish.target import document_path
from api.services import trust
from desired_state.acceptance import RefusalReason, Refused, accept
from puller.paths import Paths
from puller.ports import Fetched
from puller.reconciling.reconcile import Reconciler
from puller.settings import load_settings
from puller.trust_file import read_trust
from puller.wiring import open_parts
from tests.api.test_serve import Running, running
from tests.puller_edge.test_with_backend import HOST, enrolled, invited


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Running]:
    """A backend on SQLite, in a process of its own, whose catalogue has HOST."""
    with running(f"sqlite+aiosqlite:///{tmp_path}/towline.sqlite3", tmp_path / "backend") as served:
        assert 201 == declare(served, If_None_Match="*")
        yield served


def declare(backend: Running, poll_interval_s: int = 60, **conditions: str) -> int:
    """Have the catalogue say so of HOST."""
    entry = msgspec.json.encode({"host": HOST, "poll_interval_s": poll_interval_s})
    headers = {"Authorization": f"Bearer {backend.token}", "Content_Type": "application/json", **conditions}
    return backend.ask("PUT", f"/v1/catalogue/hosts/{HOST}", entry, **headers)[0]


def rotate(backend: Running, *, withdraw: bool) -> None:
    """What `towline trust rotate` does, beside the backend that runs."""

    async def work() -> None:
        async with open_engine(backend.settings, pooled=False) as engine:
            folder, now = backend.settings.keys_folder, datetime.now(UTC)
            await trust.rotate(engine, folder, COMMAND, now=now, withdraw=withdraw)

    asyncio.run(work())


def published(backend: Running, before: bytes = b"") -> bytes:
    """The newest document of HOST, once it is another than the one before."""
    file = backend.folder / "www" / document_path(HOST)
    assert backend.until(lambda: file.is_file() and file.read_bytes() != before)
    return file.read_bytes()


def passed(paths: Paths) -> tuple[int, int | None, int | None]:
    """One pass of the real puller: the trust version that it believes, the epoch and poll interval it goes by."""

    async def work() -> tuple[int, int | None, int | None]:
        async with open_parts(load_settings(paths, {}), paths) as parts:
            await Reconciler(parts).run_pass("schedule", insist=True)
            fetched = await parts.source.fetch("")
            assert isinstance(fetched, Fetched)
            held = accept(fetched.data, trust=read_trust(paths.trust), host=HOST, ratchet=None, now=datetime.now(UTC))
            if isinstance(held, Refused):
                return parts.trust.trust.version, None, None
            return parts.trust.trust.version, held.document.epoch, held.document.poll_interval_s

    return asyncio.run(work())


def test_a_host_follows_rotations_of_a_backend_that_runs(backend: Running, tmp_path: Path) -> None:
    """Graceful: the next document has the new key's signature, and the host takes the trust note first. Withdrawn:
    the document comes again in a new epoch, and the one that the withdrawn key signed is refused."""
    paths = Paths(tmp_path / "prefix")
    first = published(backend)
    enrolled(invited(backend), paths)
    assert (1, 1, 60) == passed(paths)
    rotate(backend, withdraw=False)
    declare(backend, 45, If_Match="*")
    second = published(backend, first)
    assert (2, 1, 45) == passed(paths)
    rotate(backend, withdraw=True)
    published(backend, second)
    assert (3, 2, 45) == passed(paths)
    for withdrawn in (first, second):
        verdict = accept(withdrawn, trust=read_trust(paths.trust), host=HOST, ratchet=None, now=datetime.now(UTC))
        assert isinstance(verdict, Refused)
        assert RefusalReason.UNTRUSTED == verdict.reason
