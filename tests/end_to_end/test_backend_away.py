"""The backend is away for a whole convergence: hosts go on without it, and what they did is told later."""

import shutil

from tests.end_to_end import databases
from tests.end_to_end.demo.machine import Machine
from tests.end_to_end.demo.wire import redis_ask
from tests.end_to_end.world import World
from tests.middleware.packages import valkey_archive
from tests.servers.process import free_ports


def test_hosts_converge_from_git_while_the_backend_is_away_and_report_later(git_world: World) -> None:
    """Two revisions come by git while nothing serves; their reports arrive afterwards, each once and in order."""
    world, old = git_world, valkey_archive("9.0.0")
    world.open(old)
    (port,) = free_ports(1)
    image = world.folder / "image"
    image.mkdir()
    shutil.copy(world.valkey.path, image)
    world.catalogue.write({"catalogue/services/cache.yaml": world.valkey_on("db-1", "cache", port, package=old)})
    machine = world.host("db-1", git_source=world.published, settings={"TOWLINE_PULLER_ARTIFACT_DIRS": str(image)})
    machine.start(world.processes)
    world.until_standing("db-1", "converged")

    world.processes.stop("backend")
    publish_without_server(world, world.valkey_on("db-1", "cache", port))
    world.until("the new version runs", lambda: runs(port, f"valkey_version:{world.valkey.version}"))
    publish_without_server(world, world.valkey_on("db-1", "cache", port, maxmemory="32mb"))
    world.until("it has the memory of the second revision", lambda: has_memory(port, 32 << 20))
    world.until("the host has applied it", lambda: applied(machine, 3))
    told = machine.run("status")

    assert f"{len(databases.waiting(machine))} reports wait for the backend; none is lost" in told
    world.start_backend()
    assert "Revision 3 applied and verified." == world.until_standing("db-1", "converged")
    world.until("nothing waits any more", lambda: None if not databases.waiting(machine) else "some wait")
    assert list(range(1, databases.produced(machine) + 1)) == databases.arrived(world.backend, "db-1")


def publish_without_server(world: World, cache: str) -> None:
    """As a timer or a pipeline does it: two commands that run once."""
    world.catalogue.write({"catalogue/services/cache.yaml": cache})
    world.backend.run("import")
    world.backend.run("publish", "--once")


def runs(port: int, words: str) -> str | None:
    """None once the server says these words of itself."""
    return None if words in (redis_ask(port, "INFO", "server") or "") else f"it does not say {words}"


def has_memory(port: int, size: int) -> str | None:
    """None once the server has so many bytes for its data."""
    found = redis_ask(port, "CONFIG", "GET", "maxmemory") or ""
    return None if str(size) in found.split() else f"maxmemory is {found.split()[-1:]}"


def applied(machine: Machine, revision: int) -> str | None:
    """None once the host itself says that this revision is applied."""
    found = databases.status(machine).get("applied_revision")
    return None if found == revision else f"revision {found} is"
