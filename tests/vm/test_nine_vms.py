"""Three VMs of each suite at once: a fleet is brought up in one go, goes through reboots, and through power losses."""

import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.vm import shop
from tests.vm.host import Host
from tests.vm.lab import at_once
from tests.vm.rootfs import SUITES
from tests.vm.site import Site
from tests.vm.waiting import until

OF_EACH = 3
LIMIT_S = 900
"""Nine VMs start a Java service each; on two cores they wait for one another."""
CUTS = ("agent/parts/*", "agent/releases/.new-*", "state/keys*")
"""When the power goes: as soon as this is there. In the download, in unpacking, while the host is made known."""
_SEEN = 'for ((i = 0; i < 12000; i++)); do compgen -G "$1/$2" >/dev/null && exit 0; sleep 0.05; done; exit 1'

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def nine(new_host: Callable[..., Host], site: Site) -> list[Host]:
    """Fresh VMs, with two services declared for each, and nothing pasted yet."""
    hosts = _booted(new_host, "vm")
    site.declare(None, **shop.services(*(host.name for host in hosts)))
    return hosts


def _booted(new_host: Callable[..., Host], word: str) -> list[Host]:
    names = [(f"{word}-{suite}-{number}", suite) for suite in SUITES for number in range(OF_EACH)]
    return at_once([partial(new_host, *each) for each in names])


@pytest.fixture(scope="module")
def pasted(nine: list[Host]) -> dict[str, float]:
    """The command pasted into all of them at once; seconds from the paste to the first converged pass, by name."""
    taken = at_once([partial(_paste, host, host.invited()) for host in nine])
    return {host.name: took for host, took in zip(nine, taken, strict=True)}


def _paste(host: Host, command: str) -> float:
    began = time.monotonic()
    host.paste(command)
    until("converged", lambda: host.site.standing(host.name)[0] == "converged", limit_s=LIMIT_S, every_s=1)
    return time.monotonic() - began


def _is_whole(host: Host) -> bool:
    host.until_converged(limit_s=LIMIT_S)
    listening = sorted({port for _, port, _ in host.machine.listening()})
    return ["cache", "greeter"] == sorted(host.services()) and [shop.VALKEY_PORT, shop.JAVA_PORT] == listening


def test_pasted_into_all_at_once(nine: list[Host], pasted: dict[str, float], measured: Callable[[str], None]) -> None:
    """All converge; on each VM's network the declared ports are open, and no other."""
    measured(
        f"nine VMs at once: {min(pasted.values()):.0f} to {max(pasted.values()):.0f} s from the paste to converged"
    )
    assert [] == [host.name for host in nine if not _is_whole(host)]


@pytest.mark.parametrize("way", ["reboot", "power loss"])
def test_another_boot_of_all_at_once(nine: list[Host], pasted: dict[str, float], way: str) -> None:
    """Rebooted, or without power, all at once: all converge by a pass of the new boot."""
    assert len(pasted) == len(nine)
    at_once([partial(_boot_again, host, way) for host in nine])
    assert [] == [host.name for host in nine if not _is_whole(host)]


def _boot_again(host: Host, way: str) -> None:
    if way == "reboot":
        host.machine.reboot()
    else:
        host.machine.lose_power()
        host.machine.boot()
    passed = partial(_passes, host)
    until("a pass of this boot", passed, limit_s=LIMIT_S, every_s=1, seen=host.alive)


def _passes(host: Host) -> int:
    return int(host.alive().get("passes", "0"))


def test_power_lost_by_all_in_the_middle_of_installing(
    nine: list[Host], new_host: Callable[..., Host], site: Site
) -> None:
    """On nine others each suite loses its power at three moments of the install; the same command converges all."""
    at_once([host.machine.kill for host in nine])
    fresh = _booted(new_host, "cut")
    site.declare(None, **shop.services(*(host.name for host in fresh)))
    at_once([partial(_cut_and_paste_again, host, CUTS[number % OF_EACH]) for number, host in enumerate(fresh)])
    assert [] == [host.name for host in fresh if not _is_whole(host)]


def _cut_and_paste_again(host: Host, sign: str) -> None:
    command = host.invited()
    process = host.begin_paste(command)
    host.machine.run("bash", "-c", _SEEN, "bash", host.prefix, sign, timeout_s=LIMIT_S)
    host.machine.lose_power()
    process.communicate(timeout=LIMIT_S)
    host.machine.boot()
    host.site.trusted_by(host.machine)
    _paste(host, command)
