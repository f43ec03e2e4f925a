"""Three VMs, a primary and two replicas, under a client that writes: members are lost, what was acknowledged is not.

The client runs beside the third member, which is never lost, and in its network. Nobody promotes a replica here: the
primary comes back on its own machine, and the pause is how long that takes.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from msgspec import Struct

from tests.end_to_end.test_secrets import new_canary
from tests.vm import shop
from tests.vm.host import Host
from tests.vm.lab import at_once
from tests.vm.waiting import until

pytestmark = pytest.mark.slow
WRITER = Path(__file__).with_name("writer.py")
MEMBERS = ("one", "two", "three")
PORTS = {"redis": shop.VALKEY_PORT}


class Cluster(Struct, frozen=True, kw_only=True):
    """The members, the first of them the primary."""

    kind: str
    hosts: tuple[Host, ...]
    password: str

    def ask(self, member: Host, *more: str) -> "subprocess.Popen[str]":
        """A client in the third member's network that talks to this one."""
        last = self.hosts[-1]
        enter = ("ip", "netns", "exec", last.lab.network.namespace(last.name), sys.executable, str(WRITER))
        asked = (*enter, self.kind, member.machine.address, str(PORTS[self.kind]), *more)
        process = subprocess.Popen(asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        process.stdin.write(f"{self.password}\n")
        process.stdin.flush()
        return process

    @contextmanager
    def written(self, what: str, measured: Callable[[str], None]) -> Iterator[dict[str, float]]:
        """While the block runs a client writes; afterwards every acknowledged number is on every member."""
        process, found = self.ask(self.hosts[0]), {"acknowledged": 0.0}
        yield found
        found |= json.loads(process.communicate("stop\n", timeout=120)[0])
        assert found["acknowledged"] > 0
        count = str(int(found["acknowledged"]))
        for member in self.hosts:
            until(f"{member.name} has all", partial(self._has_all, member, count))
        measured(
            f"{self.kind}, {what}: {count} writes acknowledged, none lost, longest pause {found['longest_pause_s']} s"
        )

    def _has_all(self, member: Host, count: str) -> bool:
        return self.ask(member, count).communicate(timeout=120)[0].strip() == "[]"

    def until_converged(self) -> None:
        """Each member has reached its document, and its service is well."""
        for host in self.hosts:
            host.until_converged()


@pytest.fixture(scope="module", params=sorted(PORTS))
def cluster(request: pytest.FixtureRequest, new_host: Callable[..., Host]) -> Cluster:
    """Three VMs whose firewall lets members reach each other at the service's port alone; converged from the paste."""
    kind = request.param
    hosts = tuple(at_once([partial(new_host, f"{kind}-{name}") for name in MEMBERS]))
    site, password = hosts[0].site, new_canary()
    for host in hosts:
        host.lab.network.change(host.name, serves=PORTS[kind])
        host.declare(f"address: {host.machine.address}\n")
    site.run("secret", "set", "shared", given=password)
    site.declare(None, **{f"{kind}-shared": shop.cache_cluster([(host.name, host.machine.address) for host in hosts])})
    at_once([host.paste for host in hosts])
    made = Cluster(kind=kind, hosts=hosts, password=password)
    made.until_converged()
    return made


def _pid(host: Host) -> str:
    (process,) = host.services().values()
    return process.partition(".")[0]


def test_a_killed_primary_is_back(cluster: Cluster, measured: Callable[[str], None]) -> None:
    """kill -9 of the primary's process: systemd has it back, and the client goes on."""
    primary = cluster.hosts[0]
    with cluster.written("primary killed", measured):
        before = _pid(primary)
        primary.machine.run("kill", "-KILL", before)
        until("it is back", lambda: primary.services() and _pid(primary) != before)
        cluster.until_converged()


def test_a_replica_that_lost_its_power_catches_up(cluster: Cluster, measured: Callable[[str], None]) -> None:
    """Writing goes on without a replica; when it has power again, it follows, and has what it missed."""
    replica = cluster.hosts[1]
    with cluster.written("replica without power", measured):
        replica.machine.lose_power()
        replica.machine.boot()
        until("a pass of this boot", lambda: int(replica.alive().get("passes", "0")) > 0)
        cluster.until_converged()


def test_a_primary_that_crashed_is_back(cluster: Cluster, measured: Callable[[str], None]) -> None:
    """The primary's VM is gone at once, with every process of it, and boots again."""
    machine = cluster.hosts[0].machine
    with cluster.written("primary's VM crashed", measured):
        machine.kill()
        machine.boot()
        until("a pass of this boot", lambda: int(cluster.hosts[0].alive().get("passes", "0")) > 0)
        cluster.until_converged()
