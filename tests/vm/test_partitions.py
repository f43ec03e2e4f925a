"""VMs that are cut off in their first hour: before the paste, before they are known, before their first pass."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.servers.agent_archive import agent_archive
from tests.vm import shop, tokens
from tests.vm.faults import talk
from tests.vm.host import PREFIX, UNIT, Host
from tests.vm.site import CA_ON_HOSTS, NAME, PORT
from tests.vm.waiting import until

POLLS_OF_AN_HOUR = 60
"""A host without a document polls once a minute."""
REALLY_S, HOUR_S = 300, 3600
_POLLS = r"""
passes() { "$2" --prefix "$3" alive | sed -n 's/^passes=//p'; }
for ((i = 0; i < $1; i++)); do
  before=$(passes "$@")
  systemctl kill --kill-who=main --signal=HUP towline-puller
  until (($(passes "$@") > before)); do sleep 0.1; done
done
"""
WAITS_FOR_THE_CUT = "[Service]\nExecStartPre=/bin/sh -c 'until [ -e /srv/is-cut ]; do sleep 0.1; done'\n"


@pytest.fixture(scope="module")
def early(new_host: Callable[..., Host]) -> Host:
    """A VM that was cut off before anything was pasted into it."""
    host = new_host("early", "bookworm")
    host.declare(cache=shop.cache("early"))
    host.lab.network.change(host.name, cut="link")
    return host


@pytest.fixture(scope="module")
def command(early: Host) -> str:
    """The command to paste into it; the same each time."""
    return early.invited()


@pytest.fixture(scope="module")
def lonely(early: Host, new_host: Callable[..., Host]) -> Host:
    """A host that joined, and was cut off before its agent made a first pass; it never had a document."""
    assert early.name
    host = new_host("lonely", "trixie")
    host.declare(cache=shop.cache("lonely"))
    host.machine.run("mkdir", "-p", f"/etc/systemd/system/{UNIT}.d")
    host.machine.write(f"/etc/systemd/system/{UNIT}.d/cut.conf", WAITS_FOR_THE_CUT)
    process = host.begin_paste()
    until("it is known and about to start", lambda: _starts(host))
    host.lab.network.change(host.name, cut="refuse")
    host.machine.run("touch", "/srv/is-cut")
    status, said = talk(process)
    assert 0 == status, said
    assert "connect" in said, said
    return host


def _starts(host: Host) -> bool:
    state = host.machine.run("systemctl", "show", "--value", "--property=SubState", UNIT, accept=None).out
    return state.strip() == "start-pre"


def test_a_paste_that_reaches_nobody_says_so(early: Host, command: str) -> None:
    """Cut off from the very first moment: the command fails at once with the backend's address, and leaves nothing."""
    done = early.paste(command, accept=None)
    assert 0 != done.status
    assert NAME in done.all
    assert not early.machine.exists(PREFIX)


def test_what_was_carried_there_by_hand_says_so(early: Host, command: str) -> None:
    """Script and archive laid by hand: a host cannot join without the backend, that is said, and nothing is left."""
    script = early.site.fetch(f"/v1/agent/sha256/{tokens.script_of(command)}")
    early.machine.run("mkdir", "-p", "/srv/carried")
    early.machine.write("/srv/carried/agentctl.sh", script)
    early.machine.copy(agent_archive(), f"/srv/carried/{agent_archive().name}")
    token = tokens.token_of(command)
    carried = f'cd /srv/carried && bash agentctl.sh install --from "$PWD" --ca-file {CA_ON_HOSTS}'
    done = early.machine.run("bash", "-c", carried, text=f"{token}\n", accept=None, timeout_s=240)
    assert 5 == done.status, done.all
    assert f"the backend https://{NAME}:{PORT}" in done.all, done.all
    assert not early.machine.exists(PREFIX)


def test_cut_off_before_it_is_known_it_says_so(early: Host, command: str) -> None:
    """Cut off between the archive and the join: the command says that the host was not taken, and nothing runs."""
    early.lab.network.change(early.name, cut="")
    process = early.begin_paste(command)
    unpacking = f"compgen -G '{PREFIX}/agent/releases/.new-*'"
    until("it unpacks", lambda: early.machine.sh(unpacking, accept=None).status == 0, every_s=0.01)
    early.lab.network.change(early.name, cut="drop")
    status, said = talk(process)
    assert 0 != status
    assert "the backend did not take this host" in said, said
    assert "" == early.machine.sh("systemctl list-unit-files --no-legend | grep towline", accept=None).out


def test_the_same_command_joins_it_later(early: Host, command: str) -> None:
    """When the partition is over, the command of before goes on from what it had fetched, and the host converges."""
    early.lab.network.change(early.name, cut="")
    early.paste(command)
    early.until_converged()
    assert ["cache"] == sorted(early.services())


def test_cut_off_before_its_first_pass_it_keeps_trying(lonely: Host) -> None:
    """The paste ended well and said what is missing; the agent serves without a document, and `doctor` says why."""
    assert "serving" == lonely.alive().get("state")
    assert "" == lonely.alive().get("revision", "").strip("0")
    told = lonely.puller("doctor", accept=(2,)).out
    assert f"backend {NAME}:{PORT}" in told
    assert {} == lonely.services()


def test_as_many_polls_as_an_hour_has(lonely: Host, tmp_path: Path) -> None:
    """An hour's polls, asked for one after the other, all fail: the same process serves, and no record has grown."""
    before = lonely.alive()
    _poll(lonely, 10)
    rows = _rows(lonely, tmp_path / "early")
    _poll(lonely, POLLS_OF_AN_HOUR - 10)
    after = lonely.alive()
    assert (before["pid"], "serving") == (after["pid"], after["state"])
    assert int(after["passes"]) - int(before["passes"]) >= POLLS_OF_AN_HOUR
    assert rows == _rows(lonely, tmp_path / "late")


def _poll(host: Host, count: int) -> None:
    program = f"{PREFIX}/agent/current/bin/towline-puller"
    host.machine.run("bash", "-c", _POLLS, "bash", str(count), program, PREFIX, timeout_s=600)


def _rows(host: Host, folder: Path) -> dict[str, int]:
    """How many rows each table of the host's record has."""
    folder.mkdir()
    for path in host.machine.seen(f"store/upper{PREFIX}/state").glob("towline.db*"):
        shutil.copy(path, folder)
    with closing(sqlite3.connect(folder / "towline.db")) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}  # noqa: S608 - ours


def _up_s(host: Host) -> float:
    return float(host.alive().get("up_s", "0"))


@pytest.mark.slow
@pytest.mark.timeout(3 * HOUR_S)
def test_a_whole_first_hour_without_a_word(lonely: Host, measured: Callable[[str], None], tmp_path: Path) -> None:
    """Really an hour from the agent's start on, in which every packet vanishes; let in, it converges by itself."""
    lonely.lab.network.change(lonely.name, cut="drop")
    until("it has tried a few times", lambda: int(lonely.alive().get("passes", "0")) >= 10, limit_s=HOUR_S, every_s=10)
    before, rows = lonely.alive(), _rows(lonely, tmp_path / "early")
    until("the hour is over", lambda: _up_s(lonely) >= HOUR_S, limit_s=2 * HOUR_S, every_s=30)
    after = lonely.alive()
    assert (before["pid"], "serving") == (after["pid"], after["state"])
    assert rows == _rows(lonely, tmp_path / "late")
    _let_in(lonely, measured)
    assert ["cache"] == sorted(lonely.services())


def test_let_in_it_converges_by_itself(lonely: Host, measured: Callable[[str], None]) -> None:
    """When the partition ends, the host has its first document by the next poll, and converges."""
    _let_in(lonely, measured)
    assert ["cache"] == sorted(lonely.services())


def _let_in(host: Host, measured: Callable[[str], None]) -> None:
    up_s = _up_s(host)
    host.lab.network.change(host.name, cut="")
    took = until("converged", lambda: host.site.standing(host.name)[0] == "converged")
    measured(f"cut off for {up_s:.0f} s, converged {took:.1f} s after it was let in")


def test_a_running_host_that_is_cut_off_heals_itself(lonely: Host) -> None:
    """While it is cut off again, a host starts a service that died, and its reports arrive when the network is back."""
    lonely.until_converged()
    lonely.lab.network.change(lonely.name, cut="link")
    before = lonely.services()
    lonely.machine.run("systemctl", "stop", "towline-cache.service")
    until("the service is back", lambda: _others(lonely, before))
    lonely.lab.network.change(lonely.name, cut="")
    until("the runs have arrived", lambda: _healed(lonely))
    lonely.until_converged()


def _others(host: Host, before: dict[str, str]) -> bool:
    return host.services().keys() == before.keys() and host.services() != before


def _healed(host: Host) -> bool:
    runs = host.site.ask(f"/v1/hosts/{host.name}/runs")["items"]
    return "Repaired cache in 1 step" in [run["summary"] for run in runs]


@pytest.mark.slow
def test_five_minutes_without_a_word(lonely: Host, measured: Callable[[str], None]) -> None:
    """Five real minutes in which every packet vanishes; a change of that time is there soon after."""
    lonely.lab.network.change(lonely.name, cut="")
    lonely.until_converged()
    lonely.lab.network.change(lonely.name, cut="drop")
    up_s, pids, pid = _up_s(lonely), lonely.services(), lonely.alive()["pid"]
    lonely.declare(cache=shop.cache("lonely", maxmemory="24mb"))
    until("five minutes", lambda: _up_s(lonely) >= up_s + REALLY_S, limit_s=2 * REALLY_S, every_s=5)
    assert (pids, pid) == (lonely.services(), lonely.alive()["pid"])
    until("it is called stale", lambda: lonely.site.standing("lonely")[0] == "stale")
    _let_in(lonely, measured)
    assert "maxmemory 25165824" in lonely.machine.read(f"{PREFIX}/services/cache/etc/redis.conf")
