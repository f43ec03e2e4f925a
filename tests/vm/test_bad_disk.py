"""A disk that fails under a running agent on a real VM: it stays up, says so, and goes on by itself."""

from collections.abc import Callable

import pytest

from tests.vm import faults, shop
from tests.vm.host import UNIT, Host
from tests.vm.waiting import until

PREFIX = "/opt/towline"
DISK_MIB = 600


@pytest.fixture(scope="module")
def host(new_host: Callable[..., Host]) -> Host:
    """Converged, with a service; everything of ours lies on a small disk of its own."""
    made = new_host("small", disks={PREFIX: DISK_MIB})
    made.declare(cache=shop.cache("small"))
    made.paste()
    made.until_converged()
    return made


def restarts(host: Host) -> str:
    return host.machine.run("systemctl", "show", "--value", "--property=NRestarts,ActiveState", UNIT).out


def test_full_and_free_again(host: Host) -> None:
    """Said by `alive`, `status` and `doctor`; nothing restarts, services are untouched. With room it goes on."""
    pids, before = host.services(), restarts(host)
    faults.fill(host.machine, PREFIX)
    until("the words", lambda: host.alive().get("reason") == "DiskFull", seen=host.alive)
    assert "this host's disk is full" in host.puller("status", accept=None).out
    assert "nothing is fetched below" in host.puller("doctor", accept=None).out
    assert (pids, before) == (host.services(), restarts(host))
    faults.free(host.machine, PREFIX)
    until("a pass", lambda: host.alive().get("reason") == "Converged", seen=host.alive)
    assert (pids, before) == (host.services(), restarts(host))
    host.until_converged()


def test_read_only_after_an_error(host: Host) -> None:
    """An I/O error makes the disk read-only: the agent stays up and says so. Repaired by the next boot it converges."""
    pids, before = host.services(), restarts(host)
    faults.break_disk(host.machine, PREFIX)
    until("the words", lambda: host.alive().get("reason", "").startswith("Disk"), seen=host.alive)
    assert (pids, before) == (host.services(), restarts(host))
    host.machine.lose_power()
    host.machine.boot()
    until("a pass", lambda: host.alive().get("reason") == "Converged", seen=host.alive)
    host.until_converged()
