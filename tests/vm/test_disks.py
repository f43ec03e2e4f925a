"""Full and read-only disks, while installing, while upgrading, and in the middle of the night."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.agent_archive import agent_archive, variant
from tests.vm import faults, shop
from tests.vm.faults import talk
from tests.vm.host import PREFIX, UNIT, Host
from tests.vm.waiting import until

DISK_MIB = 448
NEWER = "0.1.7"


@pytest.fixture(scope="module")
def host(new_host: Callable[..., Host]) -> Host:
    """A host whose prefix is a small file system of its own; the tests take it through their order."""
    made = new_host("small", "bookworm", disks={PREFIX: DISK_MIB})
    made.declare(cache=shop.cache("small"))
    return made


def _nothing_runs(host: Host) -> bool:
    return "" == host.machine.sh("systemctl list-unit-files --no-legend | grep towline", accept=None).out


def test_a_full_disk_is_said_before_anything_is_changed(host: Host) -> None:
    """Where the release has no room, what is pasted says how much is missing, and changes nothing."""
    faults.fill(host.machine, PREFIX)
    before = host.machine.sh(f"find {PREFIX} | sort").out
    done = host.paste(accept=None)
    faults.free(host.machine, PREFIX)
    assert 5 == done.status
    assert "MiB free" in done.err
    assert _nothing_runs(host)
    assert before.replace(f"{PREFIX}/.filled\n", "") == host.machine.sh(f"find {PREFIX} | sort").out


def test_a_disk_that_fills_up_while_it_unpacks(host: Host) -> None:
    """When the disk fills up in the middle, the install ends with clear words and no half release; later it goes on."""
    command = host.invited()
    process = host.begin_paste(command)
    unpacking = f"compgen -G '{PREFIX}/agent/releases/.new-*'"
    until("it unpacks", lambda: host.machine.sh(unpacking, accept=None).status == 0, every_s=0.01)
    faults.fill(host.machine, PREFIX)
    status, said = talk(process)
    assert 0 != status
    assert "disk" in said or "space" in said, said
    assert _nothing_runs(host)
    assert not host.machine.exists(f"{PREFIX}/agent/current")
    faults.free(host.machine, PREFIX)
    host.paste(command)
    host.until_converged()


def test_in_normal_running_it_serves_on_and_says_so(host: Host) -> None:
    """On a full disk the agent goes on serving, its service runs, and `doctor` says what is wrong."""
    host.until_converged()
    before = host.services()
    assert faults.fill(host.machine, PREFIX) < 65536
    until("it says so", lambda: host.alive().get("reason") == "DiskFull", seen=host.alive)
    told = host.puller("doctor", accept=None)
    assert before == host.services()
    assert "fault    disk" in told.out, told.out
    assert "serving" == host.alive().get("state")


def test_a_change_on_a_full_disk_waits_for_room(host: Host) -> None:
    """A change that cannot be written is not half done: the service runs as it was, and gets it when there is room."""
    before = host.services()
    host.declare(cache=shop.cache("small", maxmemory="24mb"))
    until(
        "it says so",
        lambda: host.site.standing("small")[0] != "converged",
        seen=lambda: host.site.standing("small"),
    )
    assert before == host.services()
    faults.free(host.machine, PREFIX)
    host.until_converged()
    assert "maxmemory 25165824" in host.machine.read(f"{PREFIX}/services/cache/etc/redis.conf")


def test_an_upgrade_on_a_full_disk_leaves_the_old_agent(host: Host, tmp_path: Path) -> None:
    """A new agent that has no room is not half there: the old one runs on, and upgrades when there is room."""
    host.until_converged()
    host.heal_often()
    before, old = host.services(), host.release()
    newer = shop.agent_package(variant(agent_archive(), tmp_path, version=NEWER))
    host.site.add_package(newer)
    faults.fill(host.machine, PREFIX)
    host.declare(agent=shop.agent(newer, "small", trial_timeout_s=300))
    until(
        "it cannot",
        lambda: host.site.standing("small")[0] != "converged",
        seen=lambda: host.site.standing("small"),
    )
    assert (old, before) == (host.release(), host.services())
    assert "" == host.machine.sh(f"ls -A {PREFIX}/agent/releases | grep -v '^{old}$'", accept=None).out
    faults.free(host.machine, PREFIX)
    until(
        "it has upgraded",
        lambda: host.alive().get("version") == NEWER,
        seen=lambda: host.site.standing("small"),
    )
    host.until_converged()
    assert before == host.services()


def test_a_prefix_that_became_read_only(host: Host) -> None:
    """When its file system breaks, the agent says so and runs nothing; after the next boot, repaired, it converges."""
    host.until_converged()
    faults.break_disk(host.machine, PREFIX)
    until("it says so", lambda: host.alive().get("reason") in ("DiskReadOnly", "DiskFailed"), seen=host.alive)
    assert "nothing can be recorded" in host.puller("doctor", accept=(2,)).out
    host.machine.kill()
    host.machine.boot()
    host.until_converged()
    assert ["cache"] == sorted(host.services())


def test_a_var_and_etc_that_became_read_only(host: Host) -> None:
    """When the disk with /var and /etc breaks, the services run on and the agent serves; repaired, it converges."""
    host.until_converged()
    before = host.services()
    faults.break_disk(host.machine)
    host.machine.run("touch", "/var/x", accept=(1,))
    assert before == host.services()
    assert host.serves()
    host.machine.kill()
    host.machine.boot()
    host.until_converged()


def test_install_over_a_read_only_prefix_is_refused(host: Host) -> None:
    """With the prefix mounted read-only, what is pasted says so, and nothing is changed."""
    host.machine.run("systemctl", "stop", UNIT, "towline-self-healing.timer", "towline-cache.service")
    faults.read_only(host.machine, PREFIX, on=True)
    done = host.paste(accept=None)
    assert 0 != done.status
    assert "read-only" in done.all.lower() or "cannot write" in done.all.lower(), done.all
    faults.read_only(host.machine, PREFIX, on=False)
    host.paste()
    host.until_converged()


def test_uninstall_works_on_a_full_disk(host: Host) -> None:
    """A full disk keeps nobody from taking the agent away."""
    faults.fill(host.machine, PREFIX)
    host.ctl("uninstall", "--yes")
    assert _only_services(host)
    faults.free(host.machine, PREFIX)


def _only_services(host: Host) -> bool:
    left = host.machine.sh(
        "systemctl list-unit-files --no-legend | grep -c 'towline-\\(puller\\|self\\)'", accept=None
    ).out
    return left.strip() == "0" and not host.machine.exists(f"{PREFIX}/agent")
