"""Documents that must not count: nothing changes on the host, and host, REST and page say why in the same word."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from desired_state.document import decode, encode
from desired_state.note import SigningKey, parse_note, sign
from tests.end_to_end import databases
from tests.end_to_end.demo.machine import Machine
from tests.end_to_end.demo.wire import free_ports
from tests.end_to_end.world import World, new_world

HOST, OTHER = "db-1", "db-2"
pytestmark = pytest.mark.xdist_group("refused documents")  # one world for all of them


class Post:
    """A converged host, and the way by which its documents come: a folder that others can get at."""

    def __init__(self, world: World, machine: Machine, folder: Path, old: bytes) -> None:
        self.world = world
        self.machine = machine
        self.place = folder / path_of(HOST)
        self.old = old
        self.good = (world.published / path_of(HOST)).read_bytes()
        self.other = (world.published / path_of(OTHER)).read_bytes()
        self.deliver(self.good)

    def deliver(self, data: bytes | None) -> None:
        """Puts these bytes where the host looks; None: takes away what is there."""
        self.place.unlink(missing_ok=True)
        if data is not None:
            self.place.parent.mkdir(parents=True, exist_ok=True)
            self.place.write_bytes(data)

    def signed(self, **changes: object) -> bytes:
        """The good document with something else in it, signed by the publisher's own key."""
        document = msgspec.structs.replace(decode(parse_note(self.good).text), **changes)
        key = (self.world.backend.state / "keys" / "publisher.key").read_text().strip()
        return sign(encode(document), [SigningKey.parse(key)])

    def seen(self) -> tuple[object, ...]:
        """All that a refused document must not touch: process, configuration, what was run, and the record."""
        files = sorted((self.machine.prefix / "services").glob("*/etc/*"))
        configuration = {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}
        return (
            self.machine.pid("cache"),
            configuration,
            databases.journal(self.machine),
            {name: recorded["parameters"] for name, recorded in databases.record(self.machine).items()},
        )


def path_of(host: str) -> str:
    """Where a host's document lies in a published tree."""
    return f"hosts/{sha256(host.encode()).hexdigest()[:2]}/{host}"


@pytest.fixture(scope="module")
def settled() -> Iterator[Post]:
    """A host that converged on revision 2."""
    with new_world() as world:
        world.open()
        (port,) = free_ports(1)
        world.catalogue.write({"catalogue/services/cache.yaml": world.valkey_on(HOST, "cache", port)})
        world.declare_host(OTHER)
        source = world.folder / "source"
        source.mkdir()
        machine = world.host(HOST, directory_source=source)
        old = (world.published / path_of(HOST)).read_bytes()
        world.declare(cache=world.valkey_on(HOST, "cache", port, maxmemory="32mb"))
        post = Post(world, machine, source, old)
        machine.run("once")
        world.backend.sign_in_to_page()
        yield post


@pytest.fixture
def post(settled: Post) -> Iterator[Post]:
    """The same host for each test: it is back on its good document when the test begins, and when it ends."""
    settled.machine.run("once")
    settled.world.until_standing(HOST, "converged")
    yield settled
    settled.deliver(settled.good)
    settled.machine.run("once")


def one_bit_altered(post: Post) -> bytes:
    """A 3 instead of a 2 in the size of the memory."""
    return post.good.replace(b'"32mb"', b'"33mb"')


def long_expired(post: Post) -> bytes:
    """A newer revision, validly signed, whose time is over."""
    now = datetime.now(UTC).replace(microsecond=0)
    return post.signed(revision=3, issued_at=now - timedelta(days=90), expires_at=now - timedelta(seconds=1))


BAD: dict[str, tuple[str, Callable[[Post], bytes | None]]] = {
    "altered": ("SignatureUntrusted", one_bit_altered),
    "replayed": ("RevisionOld", lambda post: post.old),
    "of another host": ("WrongHost", lambda post: post.other),
    "expired": ("DocumentExpired", long_expired),
    "truncated": ("DocumentMalformed", lambda post: post.good[: len(post.good) // 2]),
    "empty": ("DocumentEmpty", lambda post: b""),
    "missing": ("DocumentMissing", lambda post: None),
    "two of one revision": ("RevisionForked", lambda post: post.signed(poll_interval_s=2)),
}


@pytest.mark.parametrize("what", BAD)
def test_a_document_that_must_not_count_changes_nothing_and_is_told_by_its_reason(post: Post, what: str) -> None:
    """Nothing on the host changes; `status`, REST and page say that the document was refused, and the same reason."""
    reason, make = BAD[what]
    before = post.seen()

    post.deliver(make(post))
    post.machine.run("once", accept=(2,))

    assert before == post.seen()
    told = post.machine.run("status", accept=(2,))
    assert f"DocumentRefused: {reason}: " in told
    assert "publish a good document" in told
    assert post.world.until_standing(HOST, "failed").startswith(f"{reason}: ")
    status = post.world.backend.ask(f"/v1/hosts/{HOST}")["status"]
    assert ("refused", reason) == (status["sync"], status["refused_reason"])
    assert f"{reason}: " in post.world.backend.page(f"/hosts/{HOST}")


def test_nothing_bad_came_with_the_host_before(post: Post) -> None:
    """Without a bad document this very host is ready, and nothing says otherwise: the tests above see a difference."""
    assert "DocumentRefused" not in post.machine.run("status")
    assert "converged" == post.world.backend.standings()[HOST][0]
