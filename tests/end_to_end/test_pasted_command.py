"""The whole of it: the archive that the build makes, a real backend, its pasted command, and a host that converges."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from desired_state.names import digest_of
from tests.end_to_end.demo.processes import end, kept_processes
from tests.end_to_end.demo.wire import redis_ask
from tests.end_to_end.world import World
from tests.middleware.archives import Package
from tests.servers.agent_archive import agent_archive, variant
from tests.servers.process import free_ports

pytestmark = pytest.mark.xdist_group("agent-archive")


def package(path: Path, version: str) -> Package:
    """The archive as a package of the catalogue."""
    return Package(name="towline-agent", version=version, path=path, digest=digest_of(path.read_bytes()))


class Vm:
    """A scratch prefix whose agent nobody keeps but the test, and the shell of whoever pastes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.prefix = folder, folder / "towline"
        self.prefix.mkdir(parents=True)
        (folder / "tmp").mkdir()
        (self.prefix / "keeper").write_text("none\n")

    def shell(self, text: str) -> subprocess.CompletedProcess[str]:
        """What a person types, with an environment of a fresh login."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "TMPDIR": str(self.folder / "tmp")}
        return subprocess.run(
            ["bash", "-c", text],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment,
            timeout=200,
            check=False,
        )

    def control(self, *words: str) -> subprocess.CompletedProcess[str]:
        """agentctl.sh of the release that runs."""
        return self.shell(" ".join(["bash", f"{self.prefix}/agent/current/ctl/agentctl.sh", *words]))

    def identity(self, service: str) -> str:
        """Which process a service is: boot, pid, start."""
        return (self.prefix / "services" / service / "run/identity").read_text()


@contextmanager
def vm(world: World) -> Iterator[Vm]:
    """A host without an agent, in the world's folder."""
    made = Vm(world.folder / "vm1")
    try:
        yield made
    finally:
        made.control("stop")
        end(kept_processes([made.prefix]))


def invited(world: World, made: Vm, **way: str) -> Mapping[str, str]:
    """What the backend answers to an invitation."""
    body = {"prefix": str(made.prefix), **way}
    answer: Mapping[str, str] = world.backend.ask("/v1/hosts/vm1/invitation", method="POST", body=body)
    return answer


def test_from_the_paste_to_a_converged_host_and_another_version(world: World, tmp_path: Path) -> None:
    """Pasted: it converges. Pasted again: nothing happens. Another version by the same way: services never notice."""
    first = agent_archive()
    world.open(package(first, "0.1.0"))
    (port,) = free_ports(1)
    world.declare_host("vm1")
    world.declare(cache=world.valkey_on("vm1", "cache", port))
    with vm(world) as made:
        command = invited(world, made)["command"]
        done = made.shell(command)
        assert 0 == done.returncode, done.stderr
        assert "first pass completed: Ready=True" in done.stdout, done.stdout
        assert "PONG" == redis_ask(port, "PING")
        assert [] == list((made.folder / "tmp").iterdir())
        world.until_standing("vm1", "converged")
        server = made.identity("cache")

        again = made.shell(command)
        assert (0, True) == (again.returncode, "It runs already" in again.stderr), again.stderr

        world.add_package(package(variant(first, tmp_path, version="0.2.0"), "0.2.0"))
        world.publish()
        newer = made.shell(invited(world, made)["command"])
        assert 0 == newer.returncode, newer.stderr
        assert "The agent 0.2.0 runs on this host as vm1" in newer.stdout
        assert made.control("check_status").stdout.startswith("serving, pid ")
        assert (server, "PONG") == (made.identity("cache"), redis_ask(port, "PING"))


def test_used_token_is_refused_on_another_host(world: World) -> None:
    """A second host with a token that was used is turned away by the real backend, and runs nothing."""
    world.open(package(agent_archive(), "0.1.0"))
    world.declare_host("vm1")
    world.publish()
    with vm(world) as made:
        command = invited(world, made)["command"]
        assert 0 == made.shell(command).returncode
        other = Vm(world.folder / "vm2")
        done = other.shell(command.replace(str(made.prefix), str(other.prefix)))
        assert (1, True) == (done.returncode, "the backend refuses the join token (403)" in done.stderr), done.stderr
        assert not (other.prefix / "agent/current").exists()


def test_an_agent_that_was_uninstalled_and_installed_again_restarts_nothing(world: World) -> None:
    """Uninstalled, it leaves the services running; installed again below the same prefix, it takes them as they run."""
    world.open(package(agent_archive(), "0.1.0"))
    (port,) = free_ports(1)
    world.declare_host("vm1")
    world.declare(cache=world.valkey_on("vm1", "cache", port, maxmemory="16mb"))
    with vm(world) as made:
        assert 0 == (first := made.shell(invited(world, made)["command"])).returncode, first.stderr
        server = made.identity("cache")
        gone = made.control("uninstall")
        assert (0, "cache" in gone.stdout) == (gone.returncode, True), gone.stderr
        assert not (made.prefix / "state").exists()
        assert (server, "PONG") == (made.identity("cache"), redis_ask(port, "PING"))

        again = made.shell(invited(world, made)["command"])
        assert 0 == again.returncode, again.stderr
        assert "first pass completed: Ready=True" in again.stdout, again.stdout
        world.until_standing("vm1", "converged")
        assert (server, "PONG") == (made.identity("cache"), redis_ask(port, "PING"))
