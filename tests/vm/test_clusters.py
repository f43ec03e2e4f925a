"""Three VMs as one cluster, under a client that writes: members are lost and upgraded, what was acknowledged stays.

The client runs beside the third member, in its network. Where there is a primary, nobody promotes a replica here: the
primary comes back on its own machine, and the pause is how long that takes.
"""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.end_to_end.test_secrets import new_canary
from tests.vm import faults, shop
from tests.vm.clusters import KINDS, Cluster
from tests.vm.host import Host
from tests.vm.lab import Lab, at_once
from tests.vm.site import Site
from tests.vm.waiting import until

pytestmark = pytest.mark.slow
MEMBERS = ("one", "two", "three")
PASSWORD_BYTES = 32
"""The longest that MariaDB takes for a replica."""


@pytest.fixture(scope="module", params=sorted(KINDS))
def cluster(request: pytest.FixtureRequest, lab: Lab, site: Site) -> Iterator[Cluster]:
    """Three VMs whose firewall lets members reach each other at the service's ports alone; converged from the paste."""
    kind: str = request.param
    _know_packages(site, kind)
    machines = at_once([partial(lab.booted, f"{kind}-{name}") for name in MEMBERS])
    hosts = [Host(lab, site, machine) for machine in machines]
    for host in hosts:
        lab.network.change(host.name, serves=KINDS[kind].ports)
        site.trusted_by(host.machine)
        if int(host.machine.sh("ulimit -Hn").out) < KINDS[kind].open_files:
            faults.pretend_open_files(host.machine, library=lab.open_files_library())
        host.declare(f"address: {host.machine.address}\n")
    made = Cluster(kind, hosts, new_canary()[-PASSWORD_BYTES:])
    site.run("secret", "set", "shared", given=made.password)
    made.declare(KINDS[kind].versions[0])
    at_once([host.paste for host in hosts])
    made.until_converged()
    yield made
    lab.remove(*machines)


def _know_packages(site: Site, kind: str) -> None:
    known = {package.digest for package in shop.software()}
    for version in KINDS[kind].versions:
        for package in KINDS[kind].packages(version).values():
            if package.digest not in known:
                site.add_package(package)
                known.add(package.digest)


def _pids(host: Host) -> list[str]:
    """Of its one service, while that has a process."""
    return [process.partition(".")[0] for process in host.services().values()]


def _back(host: Host) -> None:
    until("a pass of this boot", lambda: int(host.alive().get("passes", "0")) > 0, seen=host.alive)


def test_a_killed_member_is_back(cluster: Cluster, measured: Callable[[str], None]) -> None:
    """kill -9 of the first one's process, a primary's where there is one: systemd has it back, the client goes on."""
    first = cluster.hosts[0]
    with cluster.written("first member killed", measured):
        (before,) = _pids(first)
        first.machine.run("kill", "-KILL", before)
        until("it is back", lambda: _pids(first) not in ([], [before]), seen=lambda: _pids(first))
        cluster.until_converged()


def test_a_member_that_lost_its_power_catches_up(cluster: Cluster, measured: Callable[[str], None]) -> None:
    """Writing goes on without the second one; when it has power again, it follows, and has what it missed."""
    second = cluster.hosts[1]
    with cluster.written("second member without power", measured):
        second.machine.lose_power()
        second.machine.boot()
        _back(second)
        cluster.until_converged()


def test_a_member_that_crashed_is_back(cluster: Cluster, measured: Callable[[str], None]) -> None:
    """The first one's VM is gone at once, with every process of it, and boots again."""
    machine = cluster.hosts[0].machine
    with cluster.written("first member's VM crashed", measured):
        machine.kill()
        machine.boot()
        _back(cluster.hosts[0])
        cluster.until_converged()


def test_an_upgrade_reaches_one_member_at_a_time(cluster: Cluster, measured: Callable[[str], None]) -> None:
    """A newer version, declared once: each member gets it when the last one is well, a primary at the end."""
    before = cluster.started()
    with cluster.written("upgraded member by member", measured):
        cluster.declare(cluster.how.versions[1])
        cluster.until_converged()
    after = cluster.started()
    assert [] == [name for name in before if before[name] == after[name]]
    if cluster.how.has_primary:
        assert cluster.hosts[0].name == max(after, key=after.__getitem__)
