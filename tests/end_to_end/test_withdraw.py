"""A person on the host has everything removed: the real services go, and the page says so without a green word."""

from tests.end_to_end.test_removal import host_with
from tests.end_to_end.world import World


def test_a_host_that_was_withdrawn(world: World) -> None:
    """The plan, held above the limit; then both Valkeys are gone, their data is here, and the host is not green."""
    machine, _ = host_with(world, "cache", "queue")
    assert "towline-puller withdraw --allow-removals 2" in machine.run("withdraw", "--plan", accept=(2,))
    before = [machine.pid(name) for name in ("cache", "queue")]
    assert None not in before

    told = machine.run("withdraw", "--allow-removals", "2")

    assert "everything that towline ran here is removed" in told
    assert "data stays, below services/<name>/data: cache, queue" in told
    assert [None, None] == [machine.pid(name) for name in ("cache", "queue")]
    assert "towline-puller withdraw" in world.until_standing("db-1", "suspended")
    assert "Withdrawn" in machine.run("status", accept=(1,))
    world.converge(machine)
    assert None not in [machine.pid(name) for name in ("cache", "queue")]
    world.until_standing("db-1", "converged")
