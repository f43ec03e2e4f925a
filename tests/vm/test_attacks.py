"""What is offered by somebody else is refused, and nothing of it is run."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.servers.certificates import PrivateCa
from tests.vm import hostile, shop, tokens
from tests.vm.console import Done
from tests.vm.host import PREFIX, Host
from tests.vm.site import NAME, PORT
from tests.vm.waiting import until

GOOD = {
    "release": b"name=towline-agent\nversion=9.9.9\narchitecture=x86_64\nbuilt_with=self-contained\n",
    "bin/towline-puller": hostile.SCRIPT,
    "ctl/agentctl.sh": hostile.SCRIPT,
}


@pytest.fixture(scope="module")
def victim(new_host: Callable[..., Host]) -> Host:
    """A fresh VM that somebody attacks; nothing of it ever gets in."""
    return new_host("victim", "bookworm")


@pytest.fixture(scope="module")
def member(victim: Host, new_host: Callable[..., Host]) -> Host:
    """A converged host."""
    assert victim.name
    host = new_host("member", "trixie")
    host.declare(cache=shop.cache("member"))
    return host


@pytest.fixture
def untouched(victim: Host) -> Iterator[None]:
    """After each attack nothing runs, nothing was run, and nothing stands outside the prefix."""
    yield
    machine = victim.machine
    assert not machine.exists(hostile.PROOF)
    assert not machine.exists("/etc/cron.d/evil")
    assert not machine.exists(f"{PREFIX}/agent/current")
    assert "" == machine.sh("systemctl list-unit-files --no-legend | grep towline", accept=None).out
    assert {} == victim.services()


def _refused(done: Done, *words: str) -> None:
    assert 0 != done.status, done.all
    assert [] == [word for word in words if word not in done.all], done.all


@pytest.mark.usefixtures("untouched")
def test_a_swapped_script(victim: Host) -> None:
    """A mirror that gives another script than the one the command names: its sum does not match, and it is not run."""
    with hostile.impostor(victim.lab.network.host, lambda _: hostile.SCRIPT) as mirror:
        done = victim.paste(victim.invited("--mirror", f"http://{victim.lab.network.host}:{mirror.port}"), accept=None)
        assert 1 == len(mirror.asked)
    _refused(done, "FAILED")


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("way", [*hostile.members(GOOD), "bomb"])
def test_a_hostile_archive_with_the_right_digest(victim: Host, tmp_path: Path, way: str) -> None:
    """Even an archive that the token names is refused when it reaches out, is no agent, or unpacks without end."""
    path = tmp_path / "towline-agent-9.9.9-linux-x86_64.tar.gz"
    made = hostile.bomb(path) if way == "bomb" else hostile.archive(path, hostile.members(GOOD)[way])
    victim.machine.copy(made, "/srv/evil.tar.gz")
    command = tokens.naming(victim.invited(), made, "9.9.9")
    _refused(
        victim.paste(tokens.with_options(command, "--from /srv/evil.tar.gz"), accept=None), "the archive is refused"
    )


@pytest.mark.usefixtures("untouched")
def test_a_man_in_the_middle(victim: Host, tmp_path: Path) -> None:
    """Somebody else answers under the backend's name, with a certificate of another authority: nothing is taken."""
    command = victim.invited()
    victim.machine.sh(f"sed -i 's/.* {NAME}$/{victim.lab.network.impostor} {NAME}/' /etc/hosts")
    with _man_in_the_middle(victim, tmp_path) as middle:
        done = victim.paste(command, accept=None)
        assert [] == middle.asked
    victim.machine.sh(f"sed -i 's/.* {NAME}$/{victim.lab.network.host} {NAME}/' /etc/hosts")
    _refused(done, "certificate")


def _man_in_the_middle(host: Host, folder: Path) -> AbstractContextManager[hostile.Impostor]:
    tls = PrivateCa(folder / "another-authority").issue(NAME)
    return hostile.impostor(host.lab.network.impostor, lambda _: hostile.SCRIPT, port=PORT, tls=tls)


@pytest.mark.usefixtures("untouched")
def test_a_token_whose_time_is_over(victim: Host) -> None:
    """A token that has expired by what it says is refused before anything is changed."""
    done = victim.paste(tokens.altered(victim.invited(), expires_at="2026-01-01T00:00:00Z"), accept=None)
    _refused(done, "expired")
    assert not victim.machine.exists(PREFIX)


def test_an_expired_token_is_refused_by_the_backend_too(victim: Host) -> None:
    """A token whose time is over in the backend's own books makes no host known, whatever the token says."""
    pasted = victim.invited()
    with sqlite3.connect(victim.site.folder / "state/towline.db") as database:
        database.execute("UPDATE join_token SET expires_us = created_us + 1 WHERE host = 'victim'")
    _refused(victim.paste(pasted, accept=None), "expired")
    assert not _is_enrolled(victim)
    assert "" == victim.machine.sh("systemctl list-unit-files --no-legend | grep towline", accept=None).out


def test_what_a_refused_join_left_can_be_taken_away(victim: Host) -> None:
    """The archive stays for the next token; whoever wants none has `uninstall`, though no unit was ever there."""
    pasted = victim.invited()
    with sqlite3.connect(victim.site.folder / "state/towline.db") as database:
        database.execute("UPDATE join_token SET expires_us = created_us + 1 WHERE host = 'victim'")
    _refused(victim.paste(pasted, accept=None), "the backend did not take this host")
    victim.machine.sh(f"bash {PREFIX}/agent/releases/*/ctl/agentctl.sh uninstall")
    assert not victim.machine.exists(PREFIX)


def _is_enrolled(host: Host) -> bool:
    return f"{host.name}\tdeclared\tenrolled" in host.site.run("host", "list")


def test_another_archive_under_the_right_name(member: Host) -> None:
    """A mirror whose archive is not the one that the token names is not believed; the backend's own is taken."""
    address = member.lab.network.host
    script = tokens.script_of(member.invited())
    content = member.site.fetch(f"/v1/agent/sha256/{script}")
    with hostile.impostor(address, lambda path: content if path.endswith(script) else hostile.SCRIPT) as mirror:
        done = member.paste(member.invited("--mirror", f"http://{address}:{mirror.port}"))
        assert 2 <= len(mirror.asked)
    assert "REFUSED" in done.all
    assert not member.machine.exists(hostile.PROOF)
    member.until_converged()


def test_a_token_is_good_for_one_host(member: Host, victim: Host) -> None:
    """A token that was used makes no second machine that host: refused, and in the audit log."""
    pasted = member.invited()
    member.ctl("stop")
    member.paste(tokens.with_options(pasted, "--force"))
    member.until_converged()
    _refused(victim.paste(pasted, accept=None), "used")
    assert {} == victim.services()
    assert "enrolment.refused" in member.site.run("log", "show")
    member.until_converged()


def test_a_man_in_the_middle_later(member: Host, tmp_path: Path) -> None:
    """When somebody else answers for the backend later, the host believes nothing of it, runs on, and says why."""
    member.until_converged()
    before = member.services()
    member.machine.sh(f"sed -i 's/.* {NAME}$/{member.lab.network.impostor} {NAME}/' /etc/hosts")
    with _man_in_the_middle(member, tmp_path) as middle:
        member.machine.run("systemctl", "restart", "towline-puller")
        told = member.puller("doctor", accept=(2,)).out
        # doctor alone asks for the time, and shows nothing of itself.
        assert {"/"} >= set(middle.asked)
    member.machine.sh(f"sed -i 's/.* {NAME}$/{member.lab.network.host} {NAME}/' /etc/hosts")
    assert "not trusted" in told, told
    assert before == member.services()
    until("converged again", lambda: member.site.standing("member")[0] == "converged")
