"""Whoever kills the agent gets it back, under systemd and under cron; services never notice, whatever happens to it."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.agent_archive import agent_archive, variant
from tests.vm import shop
from tests.vm.host import UNIT, Host
from tests.vm.waiting import until

NEWER = "0.1.1"


@pytest.fixture(scope="module")
def kept(new_host: Callable[..., Host]) -> Host:
    """A converged host under systemd."""
    return _converged(new_host("kept", "bookworm"))


@pytest.fixture(scope="module")
def croned(kept: Host, new_host: Callable[..., Host]) -> Host:
    """A converged host without systemd: cron keeps its agent."""
    return _converged(new_host("croned", "bookworm", init="plain"))


def _converged(host: Host) -> Host:
    entries = shop.services("kept", "croned") if host.name == "croned" else shop.services("kept")
    host.declare(**entries)
    host.paste()
    host.until_converged()
    if host.machine.init == "systemd":
        host.heal_often()
    return host


def _pid(host: Host) -> int:
    return int(host.alive().get("pid") or "0")


def _kill(host: Host) -> int:
    """kill -9 of the process that runs now; its pid."""
    until("it runs", lambda: _pid(host))
    pid = _pid(host)
    host.machine.run("kill", "-KILL", str(pid))
    return pid


def _is_back(host: Host, killed: int) -> bool:
    alive = host.alive()
    return alive.get("state") == "serving" and int(alive["pid"]) != killed


@pytest.mark.core
def test_one_pasted_command_and_nothing_else_listens(kept: Host) -> None:
    """After the pasted command the host is converged, and on the VM's network there are the declared ports alone."""
    assert kept.serves()
    assert ["cache", "greeter"] == sorted(kept.services())
    assert [shop.VALKEY_PORT, shop.JAVA_PORT] == sorted({port for _, port, _ in kept.machine.listening()})


@pytest.mark.core
@pytest.mark.parametrize("way", ["reboot", "power loss"])
def test_another_boot_brings_all_back(kept: Host, way: str) -> None:
    """Agent and services are back by themselves, and the host is converged by a pass of this boot."""
    if way == "reboot":
        kept.machine.reboot()
    else:
        kept.machine.lose_power()
        kept.machine.boot()
    until("a pass of this boot", lambda: int(kept.alive().get("passes", "0")) > 0, seen=kept.alive)
    kept.until_converged()
    assert ["cache", "greeter"] == sorted(kept.services())


@pytest.mark.core
def test_systemd_has_a_killed_agent_back(kept: Host, measured: Callable[[str], None]) -> None:
    """Killed at random moments, the agent is back each time, and no service was restarted by that."""
    before, moments = kept.services(), random.Random(7)
    assert ["cache", "greeter"] == sorted(before)
    times = []
    for _ in range(3):
        time.sleep(moments.uniform(0, 2))  # the moment of the fault, not a wait for something
        killed = _kill(kept)
        times.append(until("it is back", lambda: _is_back(kept, killed)))  # noqa: B023
    measured("killed under systemd, back after " + ", ".join(f"{took:.1f}" for took in times) + " s")
    kept.until_converged()
    assert before == kept.services()


def test_a_hanging_agent_is_restarted_by_the_watchdog(kept: Host) -> None:
    """An agent that stands still is known to be not serving, and systemd's watchdog is on it."""
    assert "2min" == kept.machine.run("systemctl", "show", "--property=WatchdogUSec", "--value", UNIT).out.strip()
    kept.machine.run("systemctl", "kill", "--signal=STOP", UNIT)
    assert "not-serving" == kept.alive().get("state")
    assert 1 == kept.ctl("check_status", accept=None).status
    kept.machine.run("systemctl", "kill", "--signal=CONT", UNIT)
    until("it serves again", kept.serves)


def test_the_watchdog_ends_what_hangs(kept: Host, measured: Callable[[str], None]) -> None:
    """An agent that stands still is ended by systemd and started anew. Here after 20 s instead of its two minutes."""
    before = kept.services()
    folder = f"/etc/systemd/system/{UNIT}.d"
    kept.machine.run("mkdir", "-p", folder)
    kept.machine.write(f"{folder}/soon.conf", "[Service]\nWatchdogSec=20\n")
    kept.machine.sh("systemctl daemon-reload && systemctl restart towline-puller")
    until("it serves", kept.serves)
    hanging = _pid(kept)
    kept.machine.run("kill", "-STOP", str(hanging))
    took = until("it is back", lambda: _is_back(kept, hanging), seen=kept.alive)
    measured(f"hung under systemd with a watchdog of 20 s, back after {took:.1f} s")
    assert "watchdog" in kept.machine.run("journalctl", "--no-pager", "-u", UNIT).out.lower()
    kept.machine.sh(f"rm -r {folder} && systemctl daemon-reload && systemctl restart towline-puller")
    kept.until_converged()
    assert before == kept.services()


@pytest.mark.core
def test_killed_in_the_middle_of_a_step_it_goes_on(kept: Host) -> None:
    """Killed while a service is installed, the agent comes back and finishes it; the others keep their processes."""
    before = kept.services()
    kept.declare(second=shop.cache("kept", port=6380).replace("service: cache", "service: second"))
    until("the step begins", lambda: kept.machine.exists("/opt/towline/services/second"), every_s=0.02)
    _kill(kept)
    kept.until_converged()
    after = kept.services()
    assert "second" in after
    assert before == {name: after[name] for name in before}


@pytest.mark.core
def test_an_upgrade_and_a_downgrade_restart_no_service(kept: Host, tmp_path: Path) -> None:
    """A newer agent by the document, and the old one again: each proves itself, and no service notices."""
    kept.until_converged()
    before, old = kept.services(), kept.release()
    package = shop.agent_package(agent_archive())
    newer = shop.agent_package(variant(agent_archive(), tmp_path, version=NEWER))
    kept.site.add_package(newer)
    for wanted in (newer, package):
        kept.declare(agent=shop.agent(wanted, "kept", trial_timeout_s=300))
        until(f"{wanted.version} has proved itself", lambda: _proved(kept, wanted.version))  # noqa: B023
        kept.until_converged()
        assert (wanted.version, before) == (kept.alive().get("version"), kept.services())
    assert old == kept.release()


def _proved(host: Host, version: str) -> bool:
    good = host.machine.run("readlink", f"{host.prefix}/agent/good").out.strip()
    return good.startswith(f"releases/{version}-") and not host.machine.exists(f"{host.prefix}/agent/trial")


def test_cron_has_a_killed_agent_back(croned: Host, measured: Callable[[str], None]) -> None:
    """Without systemd, cron has a killed agent back within its minute, and the services keep their processes."""
    before = croned.services()
    assert ["cache", "greeter"] == sorted(before)
    killed = _kill(croned)
    took = until("it is back", lambda: _is_back(croned, killed))
    measured(f"killed under cron, back after {took:.1f} s")
    croned.until_converged()
    assert before == croned.services()


def test_an_upgrade_and_a_downgrade_under_cron_restart_no_service(croned: Host, tmp_path: Path) -> None:
    """Without systemd too a newer agent comes by the document, and the old one again; no service notices."""
    croned.until_converged()
    croned.heal_often()
    before = croned.services()
    newer = shop.agent_package(variant(agent_archive(), tmp_path, version="0.1.2"))
    croned.site.add_package(newer)
    for wanted in (newer, shop.agent_package(agent_archive())):
        entry = shop.agent(wanted, "croned", trial_timeout_s=300).replace("service: agent\n", "service: croned-agent\n")
        croned.site.declare(None, **{"croned-agent": entry})
        until("it has proved itself", lambda: _proved(croned, wanted.version), seen=croned.alive)  # noqa: B023
        croned.until_converged()
        assert (wanted.version, before) == (croned.alive().get("version"), croned.services())


def test_an_operator_stops_it_and_cron_leaves_it_stopped(croned: Host) -> None:
    """After `agentctl.sh stop` nobody starts the agent; after `start` it serves; the services run on."""
    before = croned.services()
    croned.ctl("stop")
    croned.machine.run("bash", "/opt/towline/agent/good/ctl/agentctl.sh", "self_healing", "--prefix", "/opt/towline")
    assert 3 == croned.ctl("check_status", accept=None).status
    croned.ctl("start")
    until("it serves", croned.serves)
    assert before == croned.services()


@pytest.mark.parametrize("name", [pytest.param("kept", marks=pytest.mark.core), "croned"])
def test_uninstalling_restarts_no_service(name: str, request: pytest.FixtureRequest) -> None:
    """`uninstall` takes the agent away; the services run on as they are."""
    host: Host = request.getfixturevalue(name)
    before = host.services()
    host.ctl("uninstall", "--yes")
    assert before == host.services()
    assert not host.machine.exists(f"{host.prefix}/agent")
    left = "ps -eo args | grep '[p]uller.cli'; crontab -l; ls /etc/cron.d | grep towline"
    assert "" == host.machine.sh(left, accept=None).out
