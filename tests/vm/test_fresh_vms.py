"""Fresh VMs of three suites at once, from the pasted command to a converged host, through reboots and power losses."""

import random
import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.vm import shop
from tests.vm.host import UNIT, Host
from tests.vm.lab import Lab, at_once
from tests.vm.rootfs import SUITES
from tests.vm.site import Site
from tests.vm.waiting import PATIENCE_S, until

CUT_WHEN = {"bullseye": "agent/parts/*", "bookworm": "agent/releases/.new-*", "trixie": "state/keys*"}
"""When the power goes: as soon as this is there. In the download, in unpacking, while the host is made known."""

LOSSES, INSTALLS_FOR_S = 8, 16.0
"""How often power goes at any moment of an install, which takes about so long."""


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
    there = 'compgen -G "$1/$2" >/dev/null'

    def comes() -> None:
        until(sign, lambda: host.machine.sh(there, host.prefix, sign, accept=None).status == 0, every_s=0.01)

    _lose_power(host, when=comes)


def _lose_power(host: Host, *, when: Callable[[], object]) -> None:
    """In the middle of an install; the same command then converges the host."""
    command = host.invited()
    process = host.begin_paste(command)
    when()
    host.machine.lose_power()
    process.communicate(timeout=PATIENCE_S)
    host.machine.boot()
    host.site.trusted_by(host.machine)
    host.paste(command)
    host.until_converged()


@pytest.mark.slow
@pytest.mark.parametrize("suite", sorted(SUITES))
def test_power_losses_at_any_moment_of_installing(
    lab: Lab, site: Site, suite: str, measured: Callable[[str], None]
) -> None:
    """Power goes after any time between the paste and the first pass; the command pasted again converges the host."""
    moments = random.Random(suite)
    lost = [round(moments.uniform(0, INSTALLS_FOR_S), 1) for _ in range(LOSSES)]
    for number, after_s in enumerate(lost):
        host = Host(lab, site, lab.booted(f"lost-{suite}-{number}", suite))
        site.trusted_by(host.machine)
        host.declare(
            **{f"cache-{host.name}": shop.cache(host.name).replace("service: cache", f"service: cache-{host.name}")}
        )
        _lose_power(host, when=partial(time.sleep, after_s))  # the moment of the fault, not a wait for something
        assert [f"cache-{host.name}"] == list(host.services())
        lab.remove(host.machine)
    measured(f"{suite}: converged after power losses {', '.join(map(str, lost))} s after the paste")
