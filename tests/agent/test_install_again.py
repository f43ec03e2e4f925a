"""agentctl.sh install over what is there: twice, over another version, over a half of itself, from two shells."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from puller.kinds.traces import tree
from tests.agent import archives
from tests.agent.parts import environment, run
from tests.agent.prefix import PULLER, archive, boot_id
from tests.agent.scratch_host import Host
from tests.puller_edge.certificates import Authority
from tests.puller_edge.http_server import serving
from tests.servers.small_disk import may_mount

needs_mounts = pytest.mark.skipif(not may_mount(), reason="this machine lets nobody mount")


def test_other_authorities_on_an_enrolled_host(host: Host) -> None:
    """A private CA was changed for another: given to the same command it is kept, and the agent restarted, once."""
    old, new = Authority(host.folder / "old"), Authority(host.folder / "new")
    with serving(host.shop.answer, old.server_tls()) as server:
        host.shop.url = server.url
        line = host.offer("1.0")
        assert 0 == host.install(line, "--ca-file", str(old.ca_file)).code
        told = host.install(line, "--ca-file", str(new.ca_file))
        assert (5, ["1.0"]) == (told.code, host.starts()), told.err  # that backend is not vouched for by it
        assert old.ca_file.read_bytes() == (host.prefix / "etc/ca.pem").read_bytes()
        both = host.folder / "both.pem"
        both.write_bytes(old.ca_file.read_bytes() + new.ca_file.read_bytes())
        for given in (line, ""):
            assert 0 == (told := host.install(given, "--ca-file", str(both))).code, told.err
        assert both.read_bytes() == (host.prefix / "etc/ca.pem").read_bytes()
    assert ["1.0", "1.0"] == host.starts()
    assert {f"--ca-file {host.prefix}/etc/ca.pem"} == {*(host.prefix / "adjusted").read_text().splitlines()}


def test_authorities_of_this_host_are_used_again(host: Host) -> None:
    """Another version is fetched over TLS without saying --ca-file again."""
    ours = Authority(host.folder / "ca")
    with serving(host.shop.answer, ours.server_tls()) as server:
        host.shop.url = server.url
        assert 0 == host.install(host.offer("1.0"), "--ca-file", str(ours.ca_file)).code
        settings = host.prefix / "etc/puller.toml"
        settings.write_text(f'{settings.read_text()}ca_file = "{host.prefix}/etc/ca.pem"\n')
        told = host.install(host.offer("2.0"))
    assert (0, "2.0") == (told.code, host.runs()), told.err


def test_another_source_on_an_enrolled_host(host: Host) -> None:
    """Options of git are put into the settings, and the agent is restarted with them."""
    repository = host.folder / "repository"
    repository.mkdir()
    line = host.offer("1.0")
    assert 0 == host.install(line).code
    told = host.install(line, "--git-url", str(repository))
    assert (0, ["1.0", "1.0"]) == (told.code, host.starts()), told.err
    assert f"--git-url {repository}\n" == (host.prefix / "adjusted").read_text()


def test_install_twice(host: Host) -> None:
    """The second time nothing is restarted, enrolled or fetched."""
    line = host.offer("1.0")
    assert 0 == host.install(line).code
    releases, enrolment = tree(host.prefix / "agent/releases"), (host.prefix / "enrolment").stat().st_mtime_ns
    host.shop.files.clear()
    told = host.install(line)
    assert (0, ["1.0"]) == (told.code, host.starts()), told.err
    assert (releases, enrolment) == (
        tree(host.prefix / "agent/releases"),
        (host.prefix / "enrolment").stat().st_mtime_ns,
    )


def test_expired_token_of_a_host_that_is_enrolled(host: Host) -> None:
    """It is not needed any more: the same command puts right what is here."""
    assert 0 == host.install(host.offer("1.0")).code
    late = host.invite(archive(host.folder, "1.0"), expires_in=timedelta(minutes=-5))
    assert 0 == host.install(late).code


@pytest.mark.parametrize("begun", [False, True])
def test_forced_enrolment_that_was_cut_off_is_finished_by_the_same_command(host: Host, begun: bool) -> None:
    """Also without --force, and while the agent of the former identity runs again: self_healing started it."""
    assert 0 == host.install(host.offer("1.0"), "--force").code
    keys, half = host.prefix / "state/keys", host.prefix / "state/keys.pending"
    half.mkdir()
    (half / "token").write_text("token-0002\n")
    (keys / "token").write_text("token-0001\n")
    if begun:
        (keys / "token").unlink()
        said = host.install("")
        assert (2, True) == (said.code, "begun here and not finished" in said.err), said.err
    (host.prefix / "enrolment").unlink()
    told = host.install(host.invite(archive(host.folder, "1.0"), id="token-0002"))
    assert (0, True) == (told.code, (host.prefix / "enrolment").exists()), told.err
    assert (["1.0", "1.0"], "1.0") == (host.starts(), host.runs())


HALF: dict[str, Callable[[Path], object]] = {
    "the agent's folder": lambda prefix: shutil.rmtree(prefix / "agent"),
    "the puller of the release": lambda prefix: next(prefix.glob("agent/releases/*/bin/towline-puller")).unlink(),
    "the links": lambda prefix: [(prefix / "agent" / name).unlink() for name in ("current", "good")],
    "the keys": lambda prefix: (prefix / "state/keys/identity").unlink(),
    "the settings": lambda prefix: shutil.rmtree(prefix / "etc"),
}


@pytest.mark.parametrize("what", HALF)
def test_over_a_half_removed_one(host: Host, what: str) -> None:
    """Whatever is missing is there again, and one agent runs."""
    line = host.offer("1.0")
    assert 0 == host.install(line).code
    HALF[what](host.prefix)
    told = host.install(line)
    assert (0, "1.0", "1.0") == (told.code, host.release("current"), host.runs()), told.err


def test_without_a_token_what_is_here_is_put_right(host: Host) -> None:
    """On an enrolled host, also while the backend is away; on another host it asks for one."""
    assert 0 == host.install(host.offer("1.0")).code
    os.kill(int((host.prefix / "state/lock").read_text()), signal.SIGKILL)
    settings = host.prefix / "etc/puller.toml"
    settings.write_text(settings.read_text().replace(host.shop.url, "http://127.0.0.1:9"))
    told = host.install("")
    assert (0, "1.0", ["1.0", "1.0"]) == (told.code, host.runs(), host.starts()), told.err


def test_forced_without_a_token_disturbs_nothing(host: Host) -> None:
    """To become another host needs a token; without one the agent runs on as it did."""
    host.install(host.offer("1.0"))
    before = host.starts()
    told = host.install("", "--force")
    assert (2, True, before, "1.0") == (told.code, "no join token" in told.err, host.starts(), host.runs()), told.err


def test_over_another_version(host: Host) -> None:
    """The new one is laid beside the old one, takes over, and is the good one when it has made a pass."""
    assert 0 == host.install(host.offer("1.0")).code
    told = host.install(host.offer("2.0"))
    assert (0, "2.0", "2.0", "2.0") == (told.code, host.release("current"), host.release("good"), host.runs()), told.err
    assert (["1.0", "2.0"], False) == (host.starts(), (host.prefix / "agent/trial").exists())


@pytest.mark.parametrize("behaviour", ["crash", "hang"])
def test_another_version_that_does_not_serve(host: Host, behaviour: str) -> None:
    """It is undone before the person's eyes: the old one runs again, and the words say so."""
    assert 0 == host.install(host.offer("1.0")).code
    told = host.install(host.offer("2.0", behaviour))
    assert (1, True) == (told.code, "was undone" in told.err), told.err
    expected = ("1.0", "1.0", "1.0", False)
    assert expected == (
        host.release("current"),
        host.release("good"),
        host.runs(),
        (host.prefix / "agent/trial").exists(),
    )


def test_version_that_was_refused_may_be_asked_for_by_hand(host: Host) -> None:
    """A person who installs a release that had been undone gets a new judgement."""
    path = archive(host.folder, "1.0")
    note = host.prefix / "agent/refused" / f"1.0-{archives.hex_of(path)[:12]}"
    note.parent.mkdir(parents=True)
    note.write_text(f"reason=crashed\nboot_id={boot_id()}\n")
    told = host.install(host.invite(path))
    assert (0, False) == (told.code, note.exists()), told.err


def test_first_agent_that_does_not_serve(host: Host) -> None:
    """There is nothing to go back to: it says what it saw, and exit 1."""
    told = host.install(host.offer("1.0", "crash"))
    assert (1, True, True) == (told.code, "does not serve" in told.err, "ImportError" in told.err), told.err


def test_two_shells_at_once(host: Host) -> None:
    """One works, the other says who does, waits, and finds all done; one agent was started."""
    line = host.offer("1.0")
    calls = [
        subprocess.Popen(
            host.command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(host.folder),
        )
        for _ in range(2)
    ]
    for call in calls:
        assert call.stdin is not None
        call.stdin.write(line.encode())
        call.stdin.close()
    said = [call.stdout.read().decode() for call in calls if call.stdout is not None]
    assert [0, 0] == [call.wait(60) for call in calls], said
    assert (1, ["1.0"]) == (sum("waiting for it" in text for text in said), host.starts()), said


@pytest.mark.parametrize("after_s", [0.1, 0.3, 0.5, 0.7, 0.9, 1.2])
def test_killed_at_any_moment_and_given_again(host: Host, after_s: float) -> None:
    """As after a power loss: the same command ends well, with one agent and nothing half done."""
    line = host.offer("1.0")
    call = subprocess.Popen(
        host.command(), stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        env=environment(host.folder), start_new_session=True,
    )  # fmt: skip
    assert call.stdin is not None
    call.stdin.write(line.encode())
    call.stdin.close()
    time.sleep(after_s)  # the fault itself
    os.killpg(call.pid, signal.SIGKILL)
    call.wait(10)
    told = host.install(line)
    assert (0, "1.0", "1.0") == (told.code, host.release("good"), host.runs()), told.err
    assert [] == [name for name in host.files() if "/.new-" in name or "/parts" in name]


@needs_mounts
def test_full_disk_while_unpacking(host: Host) -> None:
    """Clear words and no half release; with space again the same command ends well."""
    files = archives.release_files("1.0", puller=PULLER.read_bytes())
    path = archives.archive(host.folder, files | {"behaviour": b"serve\n", "site/zeros": bytes(120 << 20)})
    line = host.invite(path)
    (host.folder / "token").write_text(line)
    command = f"bash {host.script} install --prefix {host.prefix} --token-file {host.folder}/token"
    inside = f"""mount -t tmpfs -o size=75m none {host.prefix}; echo none >{host.prefix}/keeper
{command} && exit 9
ls -A {host.prefix}/agent/releases 2>/dev/null
mount -o remount,size=300m {host.prefix}
{command}; echo "second: $?"; ls -A {host.prefix}/agent/releases"""
    told = run(["unshare", "--map-root-user", "--mount", "bash", "-c", inside], host.folder)
    assert "cannot be unpacked below" in told.err, told.all
    assert "the disk is full" in told.err
    assert told.out.endswith(f"second: 0\n1.0-{archives.hex_of(path)[:12]}\n"), told.all
