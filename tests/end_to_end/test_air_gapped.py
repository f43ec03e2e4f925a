"""A host that reaches nobody: what `towline package bundle` wrote is carried to it, and it converges from that."""

import subprocess

from tests.end_to_end import databases
from tests.end_to_end.demo.wire import redis_ask
from tests.end_to_end.world import World
from tests.servers.process import free_ports


def test_a_host_without_a_way_out_converges_from_a_bundle(world: World) -> None:
    """Documents, scripts and packages come from its folder `incoming`, twice; nothing else answers it."""
    world.open()
    (port,) = free_ports(1)
    world.catalogue.write({"catalogue/services/cache.yaml": world.valkey_on("db-1", "cache", port)})
    incoming = world.folder / "hosts" / "db-1" / "incoming"
    machine = world.host("db-1", directory_source=incoming)
    first, second = world.folder / "first.tar", world.folder / "second.tar"
    bundle = ("package", "bundle", "--host", "db-1", "--documents")
    world.backend.run(*bundle, str(first))
    world.declare(cache=world.valkey_on("db-1", "cache", port, maxmemory="32mb"))
    world.backend.run(*bundle, str(second))
    world.processes.stop("backend")

    incoming.mkdir()
    for carried, memory in ((first, 16 << 20), (second, 32 << 20)):
        subprocess.run(["tar", "-xf", str(carried), "-C", str(incoming)], check=True)
        machine.run("once")
        assert "PONG" == redis_ask(port, "PING")
        assert f"maxmemory:{memory}" in str(redis_ask(port, "INFO"))
    told = machine.run("status")
    assert f"{len(databases.waiting(machine))} reports wait for the backend; none is lost" in told
