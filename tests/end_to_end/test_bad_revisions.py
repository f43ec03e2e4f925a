"""A revision that cannot be applied: the last good one comes back, and the bad one is not tried again."""

import socket

from desired_state.retry import MAX_ATTEMPTS
from tests.end_to_end import databases
from tests.end_to_end.demo.machine import Machine
from tests.end_to_end.demo.wire import redis_ask
from tests.end_to_end.world import World, only
from tests.middleware.archives import Package
from tests.middleware.packages import site_archive
from tests.servers.process import free_ports


def good_host(world: World, port: int) -> Machine:
    """A host that converged on revision 1."""
    world.catalogue.write({"catalogue/services/cache.yaml": world.valkey_on("db-1", "cache", port)})
    machine = world.host("db-1")
    world.converge(machine)
    world.until_standing("db-1", "converged")
    return machine


def not_a_valkey(world: World) -> Package:
    """An archive that somebody uploaded under the wrong name."""
    site = site_archive("9.9.9")
    return Package(name="valkey", version="9.9.9", path=site.path, digest=site.digest)


def test_a_package_without_the_program_is_undone_and_not_tried_again(world: World) -> None:
    """The last good version answers again, the host says RolledBack and why, and a newer good revision is applied."""
    wrong = not_a_valkey(world)
    world.open(wrong)
    (port,) = free_ports(1)
    machine = good_host(world, port)

    world.declare(cache=world.valkey_on("db-1", "cache", port, package=wrong))
    world.converge(machine, ends=2)

    assert_rolled_back(world, machine, port, "has no bin/redis-server")
    tried = databases.journal(machine)
    world.converge(machine, ends=2)
    assert tried == databases.journal(machine)
    world.declare(cache=world.valkey_on("db-1", "cache", port, maxmemory="32mb"))
    world.converge(machine)
    assert "Revision 3 applied and verified." == world.until_standing("db-1", "converged")
    assert "33554432" in (redis_ask(port, "CONFIG", "GET", "maxmemory") or "")


def test_a_package_that_nobody_has_is_undone(world: World) -> None:
    """The catalogue names a file that was never put into any store: the last good version is not even stopped."""
    world.open()
    (port,) = free_ports(1)
    machine = good_host(world, port)
    before = machine.pid("cache")

    entry = f"package: valkey\nversion: 9.9.8\nfile: valkey-9.9.8.tar.gz\nsha256: {'ab' * 32}\nsize: 1000\n"
    world.catalogue.write({"catalogue/packages/valkey-9.9.8.yaml": entry})
    missing = Package(name="valkey", version="9.9.8", path=world.folder, digest="")
    machine.start(world.processes)
    world.declare(cache=world.valkey_on("db-1", "cache", port, package=missing))
    world.until("all tries have failed", lambda: without_backoff(machine))

    assert_rolled_back(world, machine, port, "valkey-9.9.8.tar.gz")
    assert before == machine.pid("cache")


def test_a_port_that_somebody_holds_is_given_up_after_the_last_try(world: World) -> None:
    """Valkey shall move to a port that another program holds: after five tries it is back on its old one."""
    world.open()
    port, held = free_ports(2)
    machine = good_host(world, port)
    machine.start(world.processes)
    with socket.create_server(("127.0.0.1", held)):
        world.declare(cache=world.valkey_on("db-1", "cache", held))
        world.until("all tries have failed", lambda: without_backoff(machine))

        assert_rolled_back(world, machine, port, "cache: ")
    starts = [state for _, verb, state in databases.journal(machine) if verb in ("start", "restart")]
    assert ["done", *["failed"] * MAX_ATTEMPTS, "done"] == starts


def assert_rolled_back(world: World, machine: Machine, port: int, why: str) -> None:
    """The last good revision runs, and everybody says that the second one was undone, and why."""
    sentence = world.until_standing("db-1", "failed")
    assert "PONG" == redis_ask(port, "PING")
    told = machine.run("status", accept=(2,))
    assert "RolledBack: revision 2 could not be applied (" in told
    assert why in told
    assert "revision 1 runs instead, and 2 is not tried again: publish a newer one" in told
    assert "revision 2 could not be applied" in sentence
    stalled = only(world.backend.ask("/v1/hosts/db-1")["status"]["conditions"], type="Stalled")
    assert ("True", "RolledBack") == (stalled["status"], stalled["reason"])


def without_backoff(machine: Machine) -> str | None:
    """None once the revision was given up; until then no wait before the next try lasts long."""
    if databases.ask(databases.of_host(machine), "SELECT revision FROM bad_revision"):
        return None
    databases.change(databases.of_host(machine), "UPDATE wait SET next_try_us = since_us")
    tries = databases.ask(databases.of_host(machine), "SELECT attempts FROM wait")
    return f"tries that failed: {tries}"
