"""A host whose record was lost: real services run on as the same processes, and it converges."""

from pathlib import Path

from tests.end_to_end import databases
from tests.end_to_end.demo.machine import Machine
from tests.end_to_end.demo.wire import redis_ask
from tests.end_to_end.world import World
from tests.servers.process import free_ports


def lose(machine: Machine) -> None:
    """The database, with all that is beside it, is gone."""
    for file in (machine.prefix / "state").glob("towline.db*"):
        file.unlink()


def host_with_two(world: World) -> tuple[Machine, dict[str, int], dict[str, int | None]]:
    """A host with two Valkeys, one of which follows the other; their ports and processes."""
    world.open()
    ports = dict(zip(("cache", "copy"), free_ports(2), strict=True))
    follows = f"127.0.0.1:{ports['cache']}"
    world.catalogue.write(
        {
            "catalogue/services/cache.yaml": world.valkey_on("db-1", "cache", ports["cache"]),
            "catalogue/services/copy.yaml": world.valkey_on("db-1", "copy", ports["copy"], replica_of=follows),
        }
    )
    machine = world.host("db-1")
    world.converge(machine)
    world.until_standing("db-1", "converged")
    return machine, ports, {name: machine.pid(name) for name in ports}


def test_a_lost_database_restarts_nothing(world: World) -> None:
    """Each service is installed and configured under its process, is on record again, and the host is ready."""
    machine, ports, pids = host_with_two(world)
    lose(machine)

    planned = machine.run("plan", accept=(2,))
    assert ("is restarted only if" in planned, "interrupts" in planned) == (True, False), planned
    world.converge(machine)

    assert pids == {name: machine.pid(name) for name in ports}
    assert [(name, verb, "done") for name in ports for verb in ("install", "configure")] == sorted(
        databases.journal(machine), key=lambda step: step[0]
    )
    assert {"running"} == {entry["state"] for entry in databases.record(machine).values()}
    assert "nothing to do" in machine.run("plan")
    world.until_standing("db-1", "converged")


def test_what_was_declared_meanwhile_restarts_its_service_alone(world: World) -> None:
    """One service is declared otherwise: that one is restarted with its new configuration, the other one runs on."""
    machine, ports, pids = host_with_two(world)
    lose(machine)
    world.declare(cache=world.valkey_on("db-1", "cache", ports["cache"], maxclients=77))
    world.converge(machine)

    assert (pids["cache"] == machine.pid("cache"), pids["copy"] == machine.pid("copy")) == (False, True)
    assert b"maxclients 77" in (machine.prefix / "services/cache/etc/redis.conf").read_bytes()
    assert "PONG" == redis_ask(ports["cache"], "PING")
    world.until_standing("db-1", "converged")


def test_a_host_that_becomes_another_one_restarts_nothing(world: World) -> None:
    """New keys by `enroll --force`, and the record lost on top of it."""
    machine, ports, pids = host_with_two(world)
    lose(machine)
    token = Path(machine.prefix / "join-token")
    token.write_text(world.backend.ask("/v1/hosts/db-1/invitation", method="POST", body={})["join_token"])
    token.chmod(0o600)
    machine.run("enroll", "--force", "--token-file", str(token))
    world.publish()
    world.converge(machine)

    assert pids == {name: machine.pid(name) for name in ports}
    world.until_standing("db-1", "converged")
