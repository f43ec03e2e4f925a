"""Fresh VMs of three suites at once, from the pasted command to a converged host, through reboots and power losses."""

import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.vm import shop
from tests.vm.host import UNIT, Host
from tests.vm.lab import at_once
from tests.vm.rootfs import SUITES
from tests.vm.site import Site
from tests.vm.waiting import until

CUT_WHEN = {"bullseye": "agent/parts/*", "bookworm": "agent/releases/.new-*", "trixie": "state/keys*"}
"""When the power goes: as soon as this is there. In the download, in unpacking, while the host is made known."""


@pytest.fixture(scope="module")
def pasted(hosts: dict[str, Host], site: Site) -> dict[str, float]:
    """The command pasted into all of them; seconds from the paste to the first converged pass, by suite."""
    site.declare(None, **shop.services(*(host.name for host in hosts.values())))
    return dict(zip(hosts, at_once([partial(_paste, host) for host in hosts.values()]), strict=True))


def _paste(host: Host) -> float:
    command = host.invited()
    began = time.monotonic()
    host.paste(command)
    until(f"{host.name} converged", lambda: host.site.standing(host.name)[0] == "converged")
    return time.monotonic() - began


@pytest.fixture(params=sorted(SUITES))
def host(hosts: dict[str, Host], pasted: dict[str, float], request: pytest.FixtureRequest) -> Host:
    """The host of each suite in turn; the command was pasted into it."""
    assert request.param in pasted
    return hosts[request.param]


def test_one_pasted_command_makes_a_converged_host(
    host: Host, pasted: dict[str, float], measured: Callable[[str], None]
) -> None:
    """After the pasted command the agent serves, the services run, and the host is converged."""
    measured(f"{host.machine.suite}: {pasted[host.machine.suite]:.1f} s from the paste to the first converged pass")
    host.until_converged()
    assert host.serves()
    assert ["cache", "greeter"] == sorted(host.services())
    assert "active" == host.machine.run("systemctl", "is-active", UNIT).out.strip()


def test_nothing_listens_but_what_services_declare(host: Host) -> None:
    """On the VM's network there are the two declared ports and no other; the agent opens none."""
    host.until_converged()
    assert [shop.VALKEY_PORT, shop.JAVA_PORT] == sorted({port for _, port, _ in host.machine.listening()})


def test_the_unit_is_hardened(host: Host, measured: Callable[[str], None]) -> None:
    """systemd-analyze security finds the unit better than one without any hardening."""
    told = host.machine.run("systemd-analyze", "security", "--no-pager", UNIT).out
    measured(f"{host.machine.suite}: {told.strip().splitlines()[-1].strip()}")
    exposure = float(told.rpartition(f"{UNIT}:")[2].split()[0])
    plain = host.machine.run("systemd-analyze", "security", "--no-pager", "cron.service").out
    assert exposure < float(plain.rpartition("cron.service:")[2].split()[0])


def test_a_reboot_changes_nothing(host: Host) -> None:
    """After a reboot agent and services are back, and the host is converged by a pass of this boot."""
    host.until_converged()
    host.machine.reboot()
    until("a pass of this boot", lambda: int(host.alive().get("passes", "0")) > 0, seen=host.alive)
    host.until_converged()
    assert ["cache", "greeter"] == sorted(host.services())


def test_a_power_loss_while_it_runs_changes_nothing(host: Host) -> None:
    """After a power loss agent and services are back by themselves, and the host is converged."""
    host.machine.lose_power()
    host.machine.boot()
    until("a pass of this boot", lambda: int(host.alive().get("passes", "0")) > 0, seen=host.alive)
    host.until_converged()
    assert ["cache", "greeter"] == sorted(host.services())


def test_power_losses_in_the_middle_of_installing(new_host: Callable[..., Host], site: Site) -> None:
    """Power goes at three moments of the install; the command pasted again converges each host."""
    fresh = {suite: new_host(f"cut-{suite}", suite) for suite in SUITES}
    site.declare(None, **shop.services(*(host.name for host in fresh.values())))
    at_once([partial(_cut_and_paste_again, host, CUT_WHEN[suite]) for suite, host in fresh.items()])
    for host in fresh.values():
        assert ["cache", "greeter"] == sorted(host.services())
        assert [shop.VALKEY_PORT, shop.JAVA_PORT] == sorted({port for _, port, _ in host.machine.listening()})


def _cut_and_paste_again(host: Host, sign: str) -> None:
    command = host.invited()
    process = host.begin_paste(command)
    there = 'compgen -G "$1/$2" >/dev/null'
    until(sign, lambda: host.machine.sh(there, host.prefix, sign, accept=None).status == 0, every_s=0.01)
    host.machine.lose_power()
    process.communicate(timeout=120)
    host.machine.boot()
    host.site.trusted_by(host.machine)
    host.paste(command)
    host.until_converged()
