"""Removal: only what is declared absent goes, its data only by a word of its own, and many at once ask first."""

from tests.end_to_end import databases
from tests.end_to_end.demo.machine import Machine
from tests.end_to_end.demo.wire import redis_ask
from tests.end_to_end.world import World, only
from tests.servers.process import free_ports


def host_with(world: World, *services: str) -> tuple[Machine, dict[str, int]]:
    """A host that runs these Valkeys and may lose one of them in a pass; their ports."""
    world.open()
    ports = dict(zip(services, free_ports(len(services)), strict=True))
    for name in services:
        world.catalogue.write({f"catalogue/services/{name}.yaml": world.valkey_on("db-1", name, ports[name])})
    machine = world.host("db-1", more="limits: {removals: 1, parallel: 2}\n")
    world.converge(machine)
    world.until_standing("db-1", "converged")
    return machine, ports


def test_absent_keeps_the_data_and_purge_deletes_it(world: World) -> None:
    """`absent` stops the service and takes program and configuration away; `purge` beside it deletes the data too."""
    machine, ports = host_with(world, "cache")
    home = machine.prefix / "services" / "cache"
    assert "OK" == redis_ask(ports["cache"], "SET", "order", "4711")

    world.declare(cache=world.valkey_on("db-1", "cache", ports["cache"], state="absent"))
    world.converge(machine)

    assert (None, None) == (machine.pid("cache"), redis_ask(ports["cache"], "PING"))
    assert b"order" in (home / "data" / "dump.rdb").read_bytes()
    assert not (home / "etc" / "redis.conf").exists()
    world.until_standing("db-1", "converged")
    world.declare(cache=world.valkey_on("db-1", "cache", ports["cache"], state="absent", purge=True))
    world.converge(machine)
    assert not (home / "data").exists()
    world.until_standing("db-1", "converged")


def test_taking_the_file_away_removes_nothing(world: World) -> None:
    """A service that is no longer declared runs on as the same process, and is shown as left alone."""
    machine, ports = host_with(world, "cache", "queue")
    before = machine.pid("queue")

    world.catalogue.remove("catalogue/services/queue.yaml")
    world.publish()
    world.converge(machine)

    assert (before, "PONG") == (machine.pid("queue"), redis_ask(ports["queue"], "PING"))
    assert "Revision 2 applied and verified." == world.until_standing("db-1", "converged")
    queue = only(world.backend.ask("/v1/hosts/db-1")["status"]["services"], name="queue")
    assert "is not in the document: left alone (declare it absent to remove it)" == queue["message"]


def test_more_removals_than_the_limit_wait_for_the_word_of_a_person(world: World) -> None:
    """Two removals above a limit of one are held, with the words that confirm them; those very words do it."""
    machine, ports = host_with(world, "cache", "queue")
    pids = [machine.pid(name) for name in ports]
    confirm = "towline-puller once --allow-removals 2"

    world.declare(**{name: world.valkey_on("db-1", name, port, state="absent") for name, port in ports.items()})
    world.converge(machine, ends=2)

    assert pids == [machine.pid(name) for name in ports]
    assert f"confirm on it with: {confirm}" in machine.run("status", accept=(2,))
    assert confirm in world.until_standing("db-1", "failed")
    steps = databases.journal(machine)
    machine.run(*confirm.split()[1:])
    assert [None, None] == [machine.pid(name) for name in ports]
    added = databases.journal(machine)[len(steps) :]
    assert [("cache", "stop"), ("cache", "uninstall"), ("queue", "stop"), ("queue", "uninstall")] == sorted(
        (service, verb) for service, verb, _ in added
    )
    world.until_standing("db-1", "converged")
