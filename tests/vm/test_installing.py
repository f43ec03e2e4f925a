"""Installing and uninstalling in every order that people think of: it ends well, or says why not."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.servers.agent_archive import agent_archive, build, own_wheel, variant
from tests.vm import shop, tokens
from tests.vm.console import Done
from tests.vm.faults import talk
from tests.vm.host import PREFIX, UNIT, Host
from tests.vm.lab import at_once
from tests.vm.snapshot import snapshot
from tests.vm.waiting import until

CTL = "/srv/agentctl.sh"
NEWER = "0.1.5"


@pytest.fixture(scope="module")
def host(new_host: Callable[..., Host]) -> Host:
    """One host, used by the tests in their order."""
    return new_host("often", "bookworm")


@pytest.fixture(scope="module")
def bare(host: Host, new_host: Callable[..., Host]) -> Host:
    """One without systemd."""
    assert host.name
    return new_host("bare", "bullseye", init="plain")


def _ctl(host: Host, *arguments: str, accept: tuple[int, ...] | None = (0,), text: str = "") -> Done:
    """The script from a place that an uninstall does not take away."""
    return host.machine.run("bash", CTL, *arguments, accept=accept, text=text, timeout_s=240)


def _keep_ctl(host: Host) -> None:
    host.machine.run("cp", f"{PREFIX}/agent/current/ctl/agentctl.sh", CTL)


@pytest.mark.parametrize("name", ["often", "bare"])
def test_after_uninstall_the_vm_is_as_before(name: str, host: Host, bare: Host) -> None:
    """Tree, units, accounts and cron lines before install equal those after uninstall."""
    one = {"often": host, "bare": bare}[name]
    before = snapshot(one.machine)
    assert before == snapshot(one.machine)
    one.paste()
    until("it serves", one.serves)
    assert before != snapshot(one.machine)
    _keep_ctl(one)
    _ctl(one, "uninstall", "--yes")
    assert before == snapshot(one.machine)


def test_uninstalling_what_is_not_there_is_fine(host: Host) -> None:
    """A second uninstall says that there is nothing to do, and changes nothing."""
    before = snapshot(host.machine)
    assert "nothing to do" in _ctl(host, "uninstall", "--yes").out
    assert before == snapshot(host.machine)


def test_installing_twice_disturbs_nothing(host: Host) -> None:
    """The same command again, with its used token, leaves the running agent and its services alone, and says so."""
    host.declare(cache=shop.cache("often"))
    command = host.invited()
    host.paste(command)
    host.until_converged()
    before, pid = host.services(), host.alive().get("pid")
    host.paste(command)
    assert (before, pid) == (host.services(), host.alive().get("pid"))


def test_from_two_shells_at_once(new_host: Callable[..., Host]) -> None:
    """Two shells paste the same command at once: one agent runs, the host is converged, and both say so."""
    host = new_host("twice", "trixie")
    command = host.invited()
    ends = at_once([partial(talk, process) for process in (host.begin_paste(command), host.begin_paste(command))])
    assert [0, 0] == [status for status, _ in ends], ends
    host.until_converged()
    running = host.machine.sh("ps -eo args | grep -c '^/opt/towline/agent/.* run$'", accept=None).out.strip()
    assert "1" == running, host.machine.sh("ps axww").out


LOSSES = (
    f"rm {PREFIX}/agent/current",
    f"rm -r {PREFIX}/agent/releases/*/site",
    f"systemctl stop {UNIT}; rm /etc/systemd/system/{UNIT}; systemctl daemon-reload",
    f"systemctl stop {UNIT}; rm -r {PREFIX}/agent",
    f"systemctl stop {UNIT}; rm {PREFIX}/state/keys/*",
)
"""What somebody removes by hand."""


@pytest.mark.parametrize("loss", LOSSES)
def test_over_a_half_removed_one(host: Host, loss: str) -> None:
    """Whatever somebody has removed of it, a new paste puts it right, and the services never notice."""
    host.until_converged()
    before = host.services()
    host.machine.sh(loss)
    host.paste()
    host.until_converged()
    assert "active" == host.machine.run("systemctl", "is-active", UNIT).out.strip()
    assert before == host.services()


@pytest.fixture(scope="module")
def halved(host: Host, new_host: Callable[..., Host]) -> Host:
    """One without services."""
    assert host.name
    return new_host("halved", "trixie")


@pytest.mark.parametrize("loss", [*LOSSES, f"rm /etc/systemd/system/{UNIT}; rm -r {PREFIX}/agent {PREFIX}/state"])
def test_uninstalling_a_half_removed_one(halved: Host, loss: str) -> None:
    """Whatever somebody has removed of it, also under a running agent, `uninstall` takes the rest away."""
    before = snapshot(halved.machine)
    halved.paste()
    _keep_ctl(halved)
    halved.machine.sh(loss)
    _ctl(halved, "uninstall")
    assert before == snapshot(halved.machine)


def test_as_wheels_where_python_fits(new_host: Callable[..., Host], tmp_path: Path) -> None:
    """Where Python fits the agent can come as wheels, laid on the VM by hand, into an environment of its own."""
    host = new_host("wheels", "bookworm")
    archive = build(own_wheel(), tmp_path, "wheels")
    host.machine.run("mkdir", "-p", f"{PREFIX}/incoming")
    host.machine.copy(archive, f"{PREFIX}/incoming/{archive.name}")
    host.paste(tokens.with_options(tokens.naming(host.invited(), archive, "0.1.0"), "--method wheels"))
    host.until_converged()
    assert host.machine.exists(f"{PREFIX}/agent/current/venv/bin/python")


def test_over_another_version(host: Host, tmp_path: Path) -> None:
    """A paste whose token names another version replaces the agent; the services never notice."""
    host.until_converged()
    before, old = host.services(), host.release()
    newer = shop.agent_package(variant(agent_archive(), tmp_path, version=NEWER))
    host.site.add_package(newer)
    host.site.publish()
    host.paste()
    assert NEWER == host.alive().get("version")
    assert old != host.release()
    host.until_converged()
    assert before == host.services()


def test_uninstall_leaves_services_and_data(host: Host) -> None:
    """`uninstall` alone: the services run on, and a paste afterwards finds them and restarts none."""
    host.until_converged()
    before = host.services()
    _ctl(host, "uninstall", "--yes")
    assert before == host.services()
    assert (
        ""
        == host.machine.sh(
            "ls /etc/systemd/system | grep -E 'puller|self-healing'; ls -d /opt/towline/agent", accept=None
        ).out
    )
    host.paste()
    host.until_converged()
    assert before == host.services()


def test_installall_shows_the_plan_and_does_it(host: Host) -> None:
    """`installall` shows what would be done, and with a yes brings the host to its document by one pass."""
    host.until_converged()
    host.machine.run("systemctl", "stop", UNIT, "towline-self-healing.timer")
    host.machine.run("systemctl", "stop", "towline-cache.service")
    done = host.ctl("installall", "--yes")
    assert "cache" in done.out
    assert ["cache"] == sorted(host.services())
    host.ctl("start")


def test_uninstallall_asks_for_the_name_of_the_host(host: Host) -> None:
    """Anything but the host's name, typed, leaves everything as it is."""
    before = host.services()
    done = host.typed("yes\n", "uninstallall", accept=None)
    assert 0 != done.status
    assert before == host.services()
    host.ctl("start")


def test_uninstallall_leaves_the_data(host: Host) -> None:
    """With the name typed, services and agent go; the data stays, and the same host can come back to it."""
    host.until_converged()
    host.typed("often\n", "uninstallall")
    assert {} == host.services()
    assert [] == host.machine.listening()
    assert not host.machine.exists(f"{PREFIX}/agent")
    assert host.machine.exists(f"{PREFIX}/services/cache/data")


def test_uninstallall_with_its_own_word_for_the_data(host: Host) -> None:
    """With --purge-data nothing of towline is left at all."""
    host.paste()
    host.until_converged()
    host.typed("often\n", "uninstallall", "--purge-data")
    assert (
        ""
        == host.machine.sh(
            "ls -A /opt/towline; getent passwd | grep towline; systemctl list-unit-files | grep towline", accept=None
        ).out
    )


def test_after_uninstallall_the_vm_is_as_before(halved: Host) -> None:
    """Tree, units and accounts before the install equal those after everything was taken away, services and data."""
    before = _without_backups(snapshot(halved.machine))
    halved.declare(cache=shop.cache("halved"))
    halved.paste()
    halved.until_converged()
    halved.typed("halved\n", "uninstallall", "--purge-data")
    assert [] == sorted(set(before) ^ set(_without_backups(snapshot(halved.machine))))


def _without_backups(lines: list[str]) -> list[str]:
    """`useradd` keeps a copy of each file of accounts as it was before its last change."""
    return [line for line in lines if not re.search(r" /etc/(passwd|shadow|group|gshadow|subuid|subgid)-( |$)", line)]
