"""A host becomes known: all of it or nothing, and only by the backend that its join token names."""

import asyncio
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from desired_state.contract import Verb
from desired_state.enrolment import (
    EnrolmentAnswer,
    EnrolmentRequest,
    JoinToken,
    SourceSettings,
    read_enrolment,
    text_of_key,
)
from desired_state.names import digest_of
from desired_state.note import SigningKey
from desired_state.record import Recorded
from desired_state.report import Report, Status, StepResult
from desired_state.request_signature import RequestRefused
from desired_state.step import Step
from desired_state.trust import Trust, encode, sign_trust
from puller.enrolment import Enrolled, enrol, is_enrolled, read_join_token
from puller.identity import load_keys
from puller.paths import Paths
from puller.ports import Stalled, Unavailable
from puller.settings import load_settings
from puller.single_flight import SingleFlight
from puller.store import documents, inventory, journal, modes, open_store, outbox, read_store, waits
from puller.store.documents import BadRevision, Held
from puller.trust_file import read_trust
from tests.puller_edge.clock import FakeClock
from tests.puller_edge.conftest import raised, with_client
from tests.puller_edge.http_server import Exchange, serving

HOST = "web-1.example"
ROOT = SigningKey.generate("root", bytes(32))
PUBLISHER = SigningKey.generate("publisher", bytes([1] * 32))


def trust(clock: FakeClock, version: int = 1) -> Trust:
    return Trust(
        schema="towline.trust/1",
        version=version,
        epoch=1,
        keys=(str(PUBLISHER.verifier),),
        threshold=1,
        root_keys=(str(ROOT.verifier),),
        root_threshold=1,
        exchange_key=text_of_key(bytes(range(32))),
        issued_at=clock.now(),
    )


class Backend:
    """One that lets the host in, or answers what a test says; it reads requests as the real one does."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.requests: list[EnrolmentRequest] = []
        self.trust = sign_trust(trust(clock), [ROOT]).decode()
        self.host = HOST
        self.sources: tuple[SourceSettings, ...] = ()
        self.status = 200
        self.body: bytes | None = None

    def __call__(self, exchange: Exchange) -> None:
        assert "/v1/enrolments" == exchange.target
        try:
            request = read_enrolment(exchange.body, exchange.target, exchange.headers, now=self.clock.now())
        except (RequestRefused, ValueError) as error:
            exchange.answer(403, msgspec.json.encode({"detail": str(error)}))
            return
        self.requests.append(request)
        answer = EnrolmentAnswer(host=self.host, trust=self.trust, sources=self.sources)
        exchange.answer(self.status, msgspec.json.encode(answer) if self.body is None else self.body)


@pytest.fixture
def backend(clock: FakeClock) -> Backend:
    """Lets HOST in."""
    return Backend(clock)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A prefix with nothing in it."""
    return Paths(tmp_path / "prefix")


def token(clock: FakeClock, url: str, number: str = "token-1-id") -> JoinToken:
    return JoinToken(
        host=HOST,
        id=number,
        secret="s" * 43,
        backend_url=url,
        trust_digest=digest_of(encode(trust(clock))),
        expires_at=clock.now() + timedelta(hours=1),
    )


def run(backend: Backend, paths: Paths, number: str = "token-1-id", **options: object) -> Enrolled:
    clock = backend.clock
    with serving(backend) as server:
        shown = token(clock, server.url, number)
        return with_client(
            clock,
            lambda client: enrol(shown, paths, client, clock, **options),  # type: ignore[arg-type]
        )


def snapshot(paths: Paths, *, pending: bool = False) -> dict[str, bytes]:
    """Every file but the puller's lock, and, unless they are asked for, the keys that wait for an answer."""
    left_out = {paths.lock} | (set() if pending else set(paths.pending_keys.glob("*")))
    return {str(p): p.read_bytes() for p in paths.prefix.rglob("*") if p.is_file() and p not in left_out}


def test_host_is_enrolled(backend: Backend, paths: Paths) -> None:
    """Keys, trust file and settings are there; the backend has the public halves, proven."""
    enrolled = run(backend, paths)
    keys, request = load_keys(paths.keys), backend.requests[0]
    assert (keys.identity_public, keys.sealing_public) == (request.identity_key, request.sealing_key)
    assert (HOST, "token-1-id", "s" * 43) == (request.host, request.token_id, request.token_secret)
    assert trust(backend.clock) == read_trust(paths.trust)
    assert load_settings(paths, {}) == enrolled.settings
    assert (HOST, "http") == (enrolled.settings.host, enrolled.settings.source.type)
    assert (str(PUBLISHER.verifier),) == enrolled.publishers


def test_second_time_with_the_same_token_is_done(backend: Backend, paths: Paths) -> None:
    """A host that this token enrolled asks nobody, changes nothing, and says what it is: also forced."""
    first = run(backend, paths)
    before = snapshot(paths, pending=True)
    again = (run(backend, paths), run(backend, paths, force=True))
    assert [(first.trust_version, first.publishers)] * 2 == [(e.trust_version, e.publishers) for e in again]
    assert (before, 1) == (snapshot(paths, pending=True), len(backend.requests))


def test_second_time_with_the_same_token_takes_what_a_person_says(backend: Backend, paths: Paths) -> None:
    """Settings that are given now are put into the file; who this host is stays."""
    run(backend, paths)
    keys = load_keys(paths.keys).identity_public
    enrolled = run(backend, paths, metrics_dir=Path("/metrics"))
    assert Path("/metrics") == load_settings(paths, {}).metrics_dir == enrolled.settings.metrics_dir
    assert (keys, 1) == (load_keys(paths.keys).identity_public, len(backend.requests))


def test_second_time_with_another_token_says_so(backend: Backend, paths: Paths) -> None:
    """An enrolled host asks nobody and changes nothing."""
    run(backend, paths)
    before = snapshot(paths, pending=True)
    error = raised(Stalled, lambda: run(backend, paths, "token-2-id"))
    assert f"this host is enrolled already, as {HOST}" in str(error)
    assert (before, 1) == (snapshot(paths, pending=True), len(backend.requests))


def test_forced_second_time_makes_new_keys(backend: Backend, paths: Paths) -> None:
    """With force the host gets another identity, and keeps what a person set."""
    run(backend, paths)
    paths.settings.write_text(paths.settings.read_text().replace("[source]", 'metrics_dir = "/metrics"\n\n[source]'))
    enrolled = run(backend, paths, "token-2-id", force=True)
    assert backend.requests[0].identity_key != backend.requests[1].identity_key
    assert (backend.requests[1].identity_key, Path("/metrics")) == (
        load_keys(paths.keys).identity_public,
        enrolled.settings.metrics_dir,
    )


def test_source_that_the_backend_tells(backend: Backend, paths: Paths) -> None:
    """A fleet that publishes to git says so at enrolment; credentials are the host's own business."""
    backend.sources = (SourceSettings(type="git", url="https://git.test/x.git", branch="published"),)
    source = run(backend, paths, source={"username": "reader", "password_file": Path("/etc/x")}).settings.source
    told = (source.type, source.url, source.branch, source.username, source.password_file)
    assert ("git", "https://git.test/x.git", "published", "reader", Path("/etc/x")) == told


def test_source_that_a_person_gives(backend: Backend, paths: Paths) -> None:
    """What is given at the command line is above what the backend tells."""
    backend.sources = (SourceSettings(type="git", url="https://git.test/x.git", branch="b"),)
    source = run(backend, paths, source={"type": "directory", "path": Path("/mnt")}).settings.source
    assert ("directory", "", Path("/mnt")) == (source.type, source.url, source.path)


def test_settings_that_an_image_brought(backend: Backend, paths: Paths) -> None:
    """A settings file that was there before is kept but for who this host is."""
    paths.settings.parent.mkdir(parents=True)
    paths.settings.write_text('artifact_dirs = ["/mnt/a"]\n[source]\ntype = "directory"\npath = "/mnt"\n')
    settings = run(backend, paths, ca_file=Path("/etc/ca.pem"), metrics_dir=Path("/metrics")).settings
    assert (HOST, (Path("/mnt/a"),), "directory", Path("/etc/ca.pem"), Path("/metrics")) == (
        settings.host,
        settings.artifact_dirs,
        settings.source.type,
        settings.ca_file,
        settings.metrics_dir,
    )


def test_settings_that_cannot_be_read_stop_it_before_anything(backend: Backend, paths: Paths) -> None:
    """The token is not used up for a host that could not be set up."""
    paths.settings.parent.mkdir(parents=True)
    paths.settings.write_text("host = ")
    assert "move" in str(raised(Stalled, lambda: run(backend, paths)))
    assert [] == backend.requests


def _other_trust(backend: Backend) -> None:
    backend.trust = sign_trust(trust(backend.clock, version=2), [ROOT]).decode()


def _altered_trust(backend: Backend) -> None:
    backend.trust = backend.trust.replace('"threshold": 1', '"threshold": 2', 1)


def _unsigned_trust(backend: Backend) -> None:
    backend.trust = sign_trust(trust(backend.clock), [PUBLISHER]).decode()


def _other_host(backend: Backend) -> None:
    backend.host = "web-2.example"


def _page(backend: Backend) -> None:
    backend.body = b"<html>sign in to the guest network</html>"


def _huge(backend: Backend) -> None:
    backend.body = b'{"host": "' + b"x" * (1 << 20)


REFUSALS = {
    _other_trust: "trust file is refused",
    _altered_trust: "trust file is refused",
    _unsigned_trust: "trust file is refused",
    _other_host: "the backend enrolled 'web-2.example'",
    _page: "none of a backend",
    _huge: "none of a backend",
}


@pytest.mark.parametrize("spoil", REFUSALS)
def test_answer_that_is_not_believed_changes_nothing(backend: Backend, paths: Paths, spoil) -> None:
    """Whoever answers in the backend's place, or alters its answer, leaves no file but the keys that wait."""
    spoil(backend)
    assert REFUSALS[spoil] in str(raised(Stalled, lambda: run(backend, paths)))
    assert (False, {}) == (is_enrolled(paths), snapshot(paths))


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (403, Stalled, "refuses the join token (403): used already"),
        (404, Stalled, "no backend answers there (404)"),
        (422, Stalled, "answers 422: used already"),
        (302, Stalled, "answers 302"),
        (503, Unavailable, "answers 503"),
    ],
)
def test_refused_by_the_backend(backend: Backend, paths: Paths, status: int, kind: type[Exception], text: str) -> None:
    """The text says what the backend says, and not the token's secret; keys are left where trying again may help."""
    backend.status, backend.body = status, b'{"detail": "used already"}'
    error = str(raised(kind, lambda: run(backend, paths)))
    assert (True, False, {}) == (text in error, "s" * 43 in error, snapshot(paths))
    assert (kind is Unavailable) == paths.pending_keys.exists()


def test_refused_when_forced_keeps_the_old_identity(backend: Backend, paths: Paths) -> None:
    """A forced enrolment that is refused leaves the host what it was."""
    run(backend, paths)
    before = snapshot(paths, pending=True)
    backend.status = 403
    raised(Stalled, lambda: run(backend, paths, "token-2-id", force=True))
    assert before == snapshot(paths, pending=True)


def test_an_answer_that_was_lost_is_asked_for_again_with_the_same_keys(backend: Backend, paths: Paths) -> None:
    """The backend may have let these keys in: no others are made for that token."""
    backend.status = 503
    raised(Unavailable, lambda: run(backend, paths))
    backend.status = 403
    raised(Stalled, lambda: run(backend, paths))
    backend.status = 200
    run(backend, paths)
    assert 1 == len({(r.identity_key, r.sealing_key) for r in backend.requests})
    assert (backend.requests[0].identity_key, False) == (
        load_keys(paths.keys).identity_public,
        paths.pending_keys.exists(),
    )


def test_another_token_gets_other_keys(backend: Backend, paths: Paths) -> None:
    """Keys that one backend was shown are never shown with another token."""
    backend.status = 503
    raised(Unavailable, lambda: run(backend, paths))
    backend.status = 200
    run(backend, paths, "token-2-id")
    assert 2 == len({request.identity_key for request in backend.requests})


def test_keys_that_wait_are_private(backend: Backend, paths: Paths) -> None:
    """Nobody else may read them, and the token's secret is not with them."""
    backend.status = 503
    raised(Unavailable, lambda: run(backend, paths))
    files = list(paths.pending_keys.iterdir())
    assert {0o600} == {path.stat().st_mode & 0o777 for path in files}
    assert (0o700, 0o700) == (paths.pending_keys.stat().st_mode & 0o777, paths.state.stat().st_mode & 0o777)
    assert not any(b"s" * 43 in path.read_bytes() for path in files)


def test_not_beside_a_puller_that_works(backend: Backend, paths: Paths) -> None:
    """Nobody changes who this host is under a running agent, and the token is not used for it."""
    run(backend, paths)
    with SingleFlight(paths.lock):
        error = raised(Stalled, lambda: run(backend, paths, "token-2-id", force=True))
    assert ("another puller works" in str(error), 1) == (True, len(backend.requests))


def test_another_identity_forgets_what_the_former_was_told(backend: Backend, paths: Paths) -> None:
    """Ratchet, documents, reports and waits are dropped; the record of services and the operator's word are kept."""
    run(backend, paths)
    asyncio.run(_a_life(paths))
    run(backend, paths, "token-2-id", force=True)
    db = read_store(paths.database)
    tables = ("ratchet", "document", "bad_revision", "outbox", "status", "heartbeat", "wait", "open_run")
    assert [] == [t for t in tables if db.execute(f"SELECT 1 FROM {t}").fetchone()]  # noqa: S608
    assert {"one"} == inventory.record(db).keys()
    suspended = modes.suspension(db)
    assert ("disk swap", []) == (suspended.reason if suspended else "", journal.unreported(db))
    db.close()


async def _a_life(paths: Paths) -> None:
    """A store in which every table has something to say."""
    store = await open_store(paths.database)
    now = datetime(2026, 11, 23, tzinfo=UTC)
    digest = digest_of(b"x")
    held = Held(epoch=3, revision=9, digest=digest, note=b"n", tag="t", origin="o", at=now)
    bad = BadRevision(digest=digest, revision=9, service="one", message="m", since=now)
    status = Status(host=HOST, sync="synced", health="healthy", mode="enforce")
    report = Report(schema="towline.report/1", id=digest, host=HOST, seq=1, at=now, status=status)
    wait = waits.Wait(service="one", state="stalled", attempts=1, next_try=now, document=digest, message="m", since=now)
    step = Step(id=digest, service="one", kind="toy", verb=Verb.START, intent="intended", reasons=("because",))
    run_ = journal.OpenRun(id="run-000001", trigger="schedule", started_at=now)
    result = StepResult(id=digest, service="one", verb=Verb.START, intent="intended", outcome="done")
    entry = Recorded(name="one", kind="toy", version="1", state="running")
    await store.transact(documents.accept, held)
    await store.transact(documents.mark_good, digest)
    await store.transact(documents.mark_bad, bad)
    await store.transact(outbox.put, report, send=True)
    await store.transact(waits.put, wait)
    await store.transact(modes.suspend, modes.Suspension(reason="disk swap", until=None, since=now))
    begun = await store.transact(journal.start, run_, step, folder="run/one", timeout_s=10, document=digest, at=now)
    await store.transact(journal.finish, begun.n, result, entry)
    await store.close()


def test_join_token_is_read_from_a_file(clock: FakeClock) -> None:
    """One line, with or without its end."""
    wanted = token(clock, "https://backend.test")
    assert wanted == read_join_token(io.BytesIO(f"  {wanted.encode()}\n".encode()))


@pytest.mark.parametrize("text", [b"", b"towline-join-1.", b"\xff\xfe", b"towline-join-1." + b"A" * 100000])
def test_join_token_that_is_none(text: bytes) -> None:
    """Anything else is refused."""
    raised(Stalled, lambda: read_join_token(io.BytesIO(text)))
