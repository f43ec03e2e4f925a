"""Networks as VMs have them: a proxy that asks for a password, a clock that is wrong."""

from collections.abc import Callable, Iterator

import pytest

from tests.servers.forward_proxy import ForwardProxy, forward_proxy
from tests.vm import faults, shop
from tests.vm.host import Host
from tests.vm.lab import Lab
from tests.vm.site import NAME, PORT, Site
from tests.vm.waiting import until

DAY_S = 86400


@pytest.fixture(scope="module")
def way_out(lab: Lab) -> Iterator[ForwardProxy]:
    """A proxy on the host's address that alone knows where the backend is."""
    with forward_proxy({NAME: lab.network.host}, address=lab.network.host) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def proxied(new_host: Callable[..., Host], way_out: ForwardProxy) -> Host:
    """A host that reaches nothing but the proxy, and cannot find the backend's name."""
    host = new_host("proxied", "bullseye", only_to=way_out.port)
    host.machine.sh(f"sed -i /{NAME}/d /etc/hosts")
    host.declare(greeter=shop.greeter("proxied"))
    return host


def test_no_way_out_is_said_at_once(proxied: Host) -> None:
    """Without a proxy, what is pasted says that the backend cannot be reached, and changes nothing."""
    done = proxied.paste(accept=None)
    assert 0 != done.status
    assert NAME in done.err
    assert not proxied.machine.exists(proxied.prefix)


def test_a_wrong_password_is_said_and_not_shown(proxied: Host, way_out: ForwardProxy) -> None:
    """With a wrong password for the proxy nothing is changed, and the words do not hold it."""
    wrong = way_out.url.replace(way_out.password, "hunter2-wrong")
    done = proxied.paste(environment={"https_proxy": wrong}, accept=None)
    assert 0 != done.status
    assert "407" in done.all or "Proxy Authentication Required" in done.all
    assert "hunter2-wrong" not in done.all
    assert not proxied.machine.exists(proxied.prefix)


def test_everything_goes_through_the_proxy(proxied: Host, way_out: ForwardProxy) -> None:
    """With the usual variable set, the host is installed, enrolled and converged through the proxy alone."""
    proxied.paste(environment={"https_proxy": way_out.url})
    proxied.until_converged()
    assert {f"{NAME}:{PORT}"} == set(way_out.tunnels)


def test_the_proxy_is_kept_over_a_reboot(proxied: Host, way_out: ForwardProxy) -> None:
    """After a reboot the agent still knows its way out; the password is readable for root alone, and in no argument."""
    before = len(way_out.tunnels)
    proxied.machine.reboot()
    until("another tunnel", lambda: len(way_out.tunnels) > before)
    proxied.until_converged()
    held = "grep -rlsF -f - /opt/towline /etc /var/log <<<$word | xargs -r stat -c '%a %U %n'"
    look = f"read -r word; {held}; grep -lsF -f - /proc/[0-9]*/cmdline <<<$word"
    found = proxied.machine.run("bash", "-c", look, text=f"{way_out.password}\n", accept=None)
    assert "600 root /opt/towline/etc/proxy.env\n" == found.out


def test_doctor_knows_the_proxy(proxied: Host, way_out: ForwardProxy) -> None:
    """On this host `doctor` finds all well, names the proxy, and shows no password."""
    done = proxied.puller("doctor", accept=None)
    assert 0 == done.status, done.all
    assert f"through {way_out.url_without_credentials}" in done.out
    assert way_out.password not in done.all


@pytest.mark.parametrize("days", [2, -2])
def test_a_wrong_clock_is_said_and_nothing_is_installed(
    lab: Lab, new_host: Callable[..., Host], site: Site, days: int
) -> None:
    """On a VM whose clock is two days off, the pasted command says so and changes nothing."""
    host = new_host(f"clock{days}", "bullseye")
    faults.shift_clock(host.machine, days * DAY_S, library=lab.clock_library())
    done = host.paste(accept=None)
    assert 0 != done.status
    assert "clock" in done.all
    assert not host.machine.exists(host.prefix)


def test_a_clock_that_goes_wrong_later_is_said(lab: Lab, proxied: Host) -> None:
    """When the clock of a converged host jumps by two days, `doctor` says by how much; right again, all is well."""
    faults.shift_clock(proxied.machine, 2 * DAY_S, library=lab.clock_library())
    proxied.machine.run("systemctl", "restart", "towline-puller")
    told = proxied.puller("doctor", accept=None).out
    assert "days ahead" in next(line for line in told.splitlines() if "clock" in line), told
    before = proxied.services()
    faults.shift_clock(proxied.machine, 0, library=lab.clock_library())
    proxied.machine.run("systemctl", "restart", "towline-puller")
    proxied.until_converged()
    assert before == proxied.services()
