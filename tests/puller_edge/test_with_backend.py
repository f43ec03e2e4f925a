"""The puller's edge against the real backend: enrolment, document, bundle, report, refusals."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from desired_state.acceptance import Accepted, accept
from desired_state.enrolment import JoinToken
from desired_state.report import Delivery, Heartbeat
from puller.bundles import Bundles
from puller.clock import SystemClock
from puller.crash_points import ENROLMENT_POINTS
from puller.enrolment import enrol
from puller.identity import load_keys
from puller.paths import Paths
from puller.ports import Fetched, Source, Stalled, Unchanged
from puller.settings import load_settings
from puller.store import outbox, read_store
from puller.transport.http_client import HttpClient
from puller.trust_file import read_trust
from puller.wiring import open_parts
from tests.api.test_serve import Running, running
from tests.puller_edge.conftest import raised

HOST = "beta"


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Running]:
    """A backend on SQLite whose catalogue has HOST."""
    with running(f"sqlite+aiosqlite:///{tmp_path}/towline.sqlite3", tmp_path / "backend") as served:
        status, _ = served.ask("PUT", f"/v1/catalogue/hosts/{HOST}", b'{"host": "beta"}', **_admin(served))
        assert 201 == status
        yield served


def _admin(backend: Running) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {backend.token}",
        "Content_Type": "application/json",
        "If_None_Match": "*",
    }


def invited(backend: Running) -> JoinToken:
    _, body = backend.ask("POST", f"/v1/hosts/{HOST}/invitation", b"{}", **_admin(backend))
    token = JoinToken.decode(msgspec.json.decode(body)["join_token"])
    return replace(token, backend_url=f"http://127.0.0.1:{backend.port}")


def enrolled(token: JoinToken, paths: Paths) -> None:
    clock = SystemClock()

    async def work() -> None:
        async with HttpClient(clock=clock) as client:
            await enrol(token, paths, client, clock)

    asyncio.run(work())


def test_from_the_invitation_to_the_receipt(backend: Running, tmp_path: Path) -> None:
    """A host enrols, fetches what it accepts, has it unchanged the next time, gets its scripts, and is heard."""
    paths = Paths(tmp_path / "prefix")
    enrolled(invited(backend), paths)
    assert backend.until((tmp_path / "backend/www/hosts").is_dir)

    async def work() -> None:
        async with open_parts(load_settings(paths, {}), paths) as parts:
            fetched = await _document(parts.source)
            accepted = accept(
                fetched.data, trust=read_trust(paths.trust), host=HOST, ratchet=None, now=datetime.now(UTC)
            )
            assert isinstance(accepted, Accepted)
            assert Unchanged() == await parts.source.fetch(fetched.tag)
            assert None is await parts.source.fetch_trust(2)
            document = accepted.document
            archive = await parts.artifacts.ensure(document.bundle, document.artifact_bases or (_base(backend),))
            assert "common.sh" in Bundles(paths.bundles).open(archive, document.bundle.digest).files
            beat = Heartbeat(schema="towline.heartbeat/1", host=HOST, seq=0, at=datetime.now(UTC))
            assert parts.sink is not None
            assert () == (await parts.sink.deliver(Delivery(heartbeat=beat))).accepted

    asyncio.run(work())


def test_command_reads_the_token_from_standard_input(backend: Running, tmp_path: Path) -> None:
    """`towline-puller enroll` enrols, says whom the host believes, again the second time, and shows no secret."""
    token = invited(backend)
    first, second = _enroll(token, tmp_path / "prefix"), _enroll(token, tmp_path / "prefix")
    assert (0, True) == (first.returncode, "beta is enrolled; it believes" in first.stdout), first.stderr
    assert (0, first.stdout) == (second.returncode, second.stdout), second.stderr
    assert False is (token.secret in first.stdout + first.stderr + second.stdout + second.stderr)


def test_killed_anywhere_the_same_token_finishes_it(backend: Running, tmp_path: Path) -> None:
    """kill -9 at each point of an enrolment: the same command again, and the backend knows the keys that are here."""
    for point in ENROLMENT_POINTS:
        token, prefix = invited(backend), tmp_path / point
        killed, again = _enroll(token, prefix, TOWLINE_CRASH_AT=point), _enroll(token, prefix)
        assert (-signal.SIGKILL, 0) == (killed.returncode, again.returncode), (point, again.stderr)
        _is_heard(Paths(prefix))


def test_killed_anywhere_when_forced_the_same_token_finishes_it(backend: Running, tmp_path: Path) -> None:
    """So does a host that becomes another one: no second --force, and the former identity's documents are gone."""
    for point in ENROLMENT_POINTS:
        prefix = tmp_path / point
        assert 0 == _enroll(invited(backend), prefix).returncode
        _is_heard(Paths(prefix))
        former = load_keys(Paths(prefix).keys).identity_public
        token = invited(backend)
        killed = _enroll(token, prefix, "--force", TOWLINE_CRASH_AT=point)
        again = _enroll(token, prefix)
        assert (-signal.SIGKILL, 0) == (killed.returncode, again.returncode), (point, again.stderr)
        assert former != load_keys(Paths(prefix).keys).identity_public
        with read_store(Paths(prefix).database) as db:
            assert [(0,)] == db.execute("SELECT count(*) FROM heartbeat").fetchall()
        _is_heard(Paths(prefix))


def _is_heard(paths: Paths) -> None:
    """The backend takes what this host signs, as soon as it goes by the new key; a pass ended here."""

    async def work() -> None:
        async with open_parts(load_settings(paths, {}), paths) as parts:
            await _fetched(parts.source)
            await parts.store.transact(outbox.beat, datetime.now(UTC))

    asyncio.run(work())
    assert [] == [path for path in (paths.pending_keys,) if path.exists()]


async def _fetched(source: Source) -> None:
    """The backend looks for news of its database every half second: until then it goes by the key of before."""
    for _ in range(20):
        try:
            await source.fetch("")
        except Stalled:
            await asyncio.sleep(0.2)
        else:
            return
    await source.fetch("")


def _enroll(token: JoinToken, prefix: Path, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from puller.cli import main; main()", "enroll", *options],
        input=token.encode(),
        env={**os.environ, "TOWLINE_PULLER_PREFIX": str(prefix), **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_join_token_is_used_once(backend: Running, tmp_path: Path) -> None:
    """The second host that shows the same token stays outside, with no file of it."""
    token = invited(backend)
    enrolled(token, Paths(tmp_path / "first"))
    error = raised(Stalled, lambda: enrolled(token, Paths(tmp_path / "second")))
    left = [path.name for path in (tmp_path / "second").rglob("*") if path.is_file()]
    assert ("refuses the join token (403)" in str(error), ["lock"]) == (True, left)


def test_join_token_as_an_argument_is_refused_and_not_repeated(backend: Running, tmp_path: Path) -> None:
    """It stands in the process list already; our own words put it nowhere else, and nothing is enrolled."""
    token = invited(backend)
    said = _enroll(token, tmp_path / "prefix", token.encode())
    assert (2, False) == (said.returncode, (tmp_path / "prefix").exists())
    assert "read from standard input" in said.stderr
    assert token.encode() not in said.stderr + said.stdout


def test_host_that_was_replaced_is_told_so(backend: Running, tmp_path: Path) -> None:
    """After another machine enrolled under the name, the old keys are refused, and the text says what to do."""
    first = Paths(tmp_path / "first")
    enrolled(invited(backend), first)
    enrolled(invited(backend), Paths(tmp_path / "second"))

    async def work() -> None:
        async with open_parts(load_settings(first, {}), first) as parts:
            await parts.source.fetch("")

    assert "does not accept this host's signature (401)" in str(raised(Stalled, lambda: asyncio.run(work())))


async def _document(source) -> Fetched:
    """The document, once it is published."""
    for _ in range(600):
        fetched = await source.fetch("")
        if isinstance(fetched, Fetched) and fetched.data is not None:
            return fetched
        await asyncio.sleep(0.05)
    raise AssertionError("no document was published")


def _base(backend: Running) -> str:
    return f"http://127.0.0.1:{backend.port}/v1/artifacts"
