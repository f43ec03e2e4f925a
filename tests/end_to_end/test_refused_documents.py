"""Documents that must not count: nothing changes on the host, and host, REST and page say why in the same word."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.end_to_end.demo.machine import Machine
from tests.end_to_end.post import Post, published
from tests.end_to_end.world import World, new_world
from tests.servers.process import free_ports

HOST, OTHER = "db-1", "db-2"
pytestmark = pytest.mark.xdist_group("refused documents")  # one world for all of them


class Replayable(Post):
    """Somebody kept an older document of the host, and has that of another one."""

    def __init__(self, world: World, machine: Machine, folder: Path, old: bytes) -> None:
        super().__init__(world, machine, folder)
        self.old = old
        self.other = published(world, OTHER)


@pytest.fixture(scope="module")
def settled() -> Iterator[Replayable]:
    """A host that converged on revision 2."""
    with new_world() as world:
        world.open()
        (port,) = free_ports(1)
        world.catalogue.write({"catalogue/services/cache.yaml": world.valkey_on(HOST, "cache", port)})
        world.declare_host(OTHER)
        source = world.folder / "source"
        source.mkdir()
        machine = world.host(HOST, directory_source=source)
        old = published(world, HOST)
        world.declare(cache=world.valkey_on(HOST, "cache", port, maxmemory="32mb"))
        post = Replayable(world, machine, source, old)
        machine.run("once")
        world.backend.sign_in_to_page()
        yield post


@pytest.fixture
def post(settled: Replayable) -> Iterator[Replayable]:
    """The same host for each test: it is back on its good document when the test begins, and when it ends."""
    settled.machine.run("once")
    settled.world.until_standing(HOST, "converged")
    yield settled
    settled.deliver(settled.good)
    settled.machine.run("once")


def one_bit_altered(post: Replayable) -> bytes:
    """A 3 instead of a 2 in the size of the memory."""
    return post.good.replace(b'"32mb"', b'"33mb"')


def long_expired(post: Replayable) -> bytes:
    """A newer revision, validly signed, whose time is over."""
    now = datetime.now(UTC).replace(microsecond=0)
    return post.signed(revision=3, issued_at=now - timedelta(days=90), expires_at=now - timedelta(seconds=1))


BAD: dict[str, tuple[str, Callable[[Replayable], bytes | None]]] = {
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
def test_a_document_that_must_not_count_changes_nothing_and_is_told_by_its_reason(post: Replayable, what: str) -> None:
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


def test_nothing_bad_came_with_the_host_before(post: Replayable) -> None:
    """Without a bad document this very host is ready, and nothing says otherwise: the tests above see a difference."""
    assert "DocumentRefused" not in post.machine.run("status")
    assert "converged" == post.world.backend.standings()[HOST][0]
