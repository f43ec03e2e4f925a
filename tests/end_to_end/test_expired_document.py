"""The document that a host holds runs out, and nobody sends a newer one."""

from datetime import UTC, datetime, timedelta

from tests.end_to_end import databases
from tests.end_to_end.post import Post
from tests.end_to_end.world import World
from tests.servers.process import free_ports


def test_a_host_whose_document_ran_out_is_kept_up_and_says_so(world: World) -> None:
    """What was applied in time is still repaired; host, REST and page say that the document has expired."""
    world.open()
    (port,) = free_ports(1)
    world.catalogue.write({"catalogue/services/cache.yaml": world.valkey_on("db-1", "cache", port)})
    source = world.folder / "source"
    source.mkdir()
    machine = world.host("db-1", directory_source=source)
    post = Post(world, machine, source)
    machine.run("once")
    ends = accepted_in_time(post)
    world.until("its document has expired", lambda: None if datetime.now(UTC) > ends else "not yet")
    file = machine.prefix / "services" / "cache" / "etc" / "redis.conf"
    declared = file.read_text()

    file.write_text("# a quick fix by hand\n" + declared)
    machine.run("once", accept=(2,))

    assert declared == file.read_text()
    assert "DocumentExpired: " in machine.run("status", accept=(2,))
    assert "expired" in world.until_standing("db-1", "failed")
    world.backend.sign_in_to_page()
    assert "expired" in world.backend.page("/hosts/db-1")


def accepted_in_time(post: Post) -> datetime:
    """Sends a document that runs out soon, but not before this machine, however busy, has accepted it; when it does."""
    for revision, seconds in ((2, 4), (3, 15), (4, 60)):
        now = datetime.now(UTC).replace(microsecond=0)
        ends = now + timedelta(seconds=seconds)
        post.deliver(post.signed(revision=revision, issued_at=now, expires_at=ends))
        post.machine.run("once", accept=(0, 2))
        if databases.status(post.machine).get("accepted_revision") == revision:
            return ends
    raise AssertionError("this machine does not accept a document within a minute")
