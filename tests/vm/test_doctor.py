"""The doctor on a real VM: all is well after the install, what is broken is found, and no secret is in the ticket."""

import base64
import io
import json
import tarfile
from collections.abc import Callable

import pytest

from tests.vm import faults
from tests.vm.host import UNIT, Host
from tests.vm.lab import Lab
from tests.vm.waiting import until

TICKET = "/srv/ticket.tar.gz"


@pytest.fixture(scope="module")
def host(new_host: Callable[..., Host]) -> Host:
    """One that was installed by the pasted command."""
    made = new_host("patient")
    made.paste()
    made.until_converged()
    return made


def found(host: Host, check: str) -> list[tuple[str, str]]:
    """Verdicts and words of one check."""
    told = json.loads(host.puller("doctor", "--json", accept=None).out)["findings"]
    return [(each["verdict"], each["found"]) for each in told if each["check"] == check]


def test_all_is_well_after_the_install(host: Host, measured: Callable[[str], None]) -> None:
    """No fault and no warning: units, timer, agent, certificates, permissions."""
    done = host.puller("doctor", accept=None)
    measured(done.out)
    assert 0 == done.status, done.all
    assert "all is well" in done.out.splitlines()[0]
    assert "towline-puller.service is active (running), restarted 0 times" in done.out


def test_a_stopped_agent_is_found(host: Host) -> None:
    """Unit and agent are told apart; started again all is well."""
    host.ctl("stop")
    assert ("fault", True) == (found(host, "units")[0][0], f"{UNIT} is inactive" in found(host, "units")[0][1])
    assert "an operator stopped it" in found(host, "agent")[0][1]
    host.ctl("start")
    until("a pass", lambda: int(host.alive().get("passes", "0")) > 0, seen=host.alive)
    assert "ok" == found(host, "agent")[0][0]


def test_a_clock_two_days_ahead_is_found(host: Host, lab: Lab) -> None:
    """By how much, against the backend's."""
    faults.shift_clock(host.machine, 2 * 86400, library=lab.clock_library())
    try:
        verdict, told = found(host, "clock")[0]
    finally:
        faults.shift_clock(host.machine, 0, library=lab.clock_library())
    assert ("fault", True) == (verdict, "2 days ahead of" in told), told


def test_a_partition_is_found(host: Host) -> None:
    """A backend that cannot be connected to is said with what to open; the rest is examined all the same."""
    host.lab.network.change(host.name, cut="drop")
    try:
        verdict, told = found(host, "connections")[0]
    finally:
        host.lab.network.change(host.name, cut="")
    assert ("fault", True) == (verdict, "no answer: a firewall drops it" in told), told


def test_the_ticket_has_the_journal_and_no_key(host: Host) -> None:
    """The bundle has the unit's journal, the units, the rows; and nothing of the host's keys."""
    host.puller("doctor", "--bundle", TICKET, accept=None)
    data = host.machine.run("base64", "-w0", TICKET).out
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(data))) as tar:
        texts = {member.name: tar.extractfile(member).read().decode() for member in tar}  # type: ignore[union-attr]
    assert "towline.pass" in texts["towline-doctor/log.txt"] or "document accepted" in texts["towline-doctor/log.txt"]
    assert "WatchdogSec=120" in texts["towline-doctor/units.txt"]
    keys = host.machine.sh("grep -hv -- ----- /opt/towline/state/keys/*").out.split()
    assert [] == [key for key in keys if key in "\n".join(texts.values())]
