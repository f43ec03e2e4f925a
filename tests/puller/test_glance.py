"""Looking without a script, at real processes, ports and files."""

import asyncio
import os
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from desired_state.observed import Identity, Observation
from puller.looking import listening
from puller.looking.exits import ExitWatch
from puller.looking.glance import HostGlance
from puller.looking.listening import listening_ports
from puller.looking.proc import boot_id, start_time
from puller.looking.watched_files import WatchedFiles
from puller.ports import Known

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture
def child() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(["sleep", "1000"])
    yield process
    process.kill()
    process.wait()


def identity(pid: int) -> Identity:
    started = start_time(pid)
    assert started is not None
    return Identity(boot_id=boot_id(), pid=pid, start_time=started)


def seen(**fields: object) -> Observation:
    return Observation(service="one", state="running", seen_at=NOW, **fields)  # type: ignore[arg-type]


def looks_different(glance: HostGlance, observation: Observation) -> bool:
    return asyncio.run(glance.different([observation])) == {"one"}


def digest(*words: str) -> str:
    lines = "".join(word + "\n" for word in words)
    return "sha256:" + sha256(lines.encode()).hexdigest()


def test_the_same_process_looks_the_same(child: "subprocess.Popen[bytes]") -> None:
    """A process that lives, with the start time of the last look, is not different."""
    assert not looks_different(HostGlance(), seen(identity=identity(child.pid)))


def test_a_dead_process_looks_different(child: "subprocess.Popen[bytes]") -> None:
    """A process that ended is different, also before anybody has buried it."""
    before = identity(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert looks_different(HostGlance(), seen(identity=before))


def test_a_number_used_again_looks_different(child: "subprocess.Popen[bytes]") -> None:
    """A living process under the old number, with another start time, is another process."""
    other = Identity(boot_id=boot_id(), pid=child.pid, start_time=identity(child.pid).start_time - 1)
    assert looks_different(HostGlance(), seen(identity=other))


def test_another_boot_looks_different(child: "subprocess.Popen[bytes]") -> None:
    """Numbers of an earlier boot say nothing."""
    other = Identity(boot_id="earlier", pid=child.pid, start_time=identity(child.pid).start_time)
    assert looks_different(HostGlance(), seen(identity=other))


def test_a_port_that_closed_looks_different() -> None:
    """A port that the service listened on and that nobody listens on now is different."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert port in listening_ports()
        assert not looks_different(HostGlance(), seen(ports=(port,)))
    assert looks_different(HostGlance(), seen(ports=(port,)))


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_both_ways_to_ask_for_ports_agree(family: socket.AddressFamily, monkeypatch: pytest.MonkeyPatch) -> None:
    """sock_diag and the table in /proc name the same listener, over both protocols."""
    with socket.create_server(("127.0.0.1" if family == socket.AF_INET else "::1", 0), family=family) as server:
        port = server.getsockname()[1]
        assert port in listening_ports()
        monkeypatch.setattr(listening, "_NETLINK_SOCK_DIAG", 31)
        assert port in listening_ports()


def test_the_digest_of_files_is_the_contract_s(tmp_path: Path) -> None:
    """In the order of the watch lines: each file's sha256 and a newline, and the word `missing`."""
    one = tmp_path / "one"
    one.write_bytes(b"content")
    expected = digest(sha256(b"content").hexdigest(), "missing")
    assert expected == WatchedFiles().config_digest([str(one), str(tmp_path / "none")])


def test_an_edited_file_looks_different(tmp_path: Path) -> None:
    """A file of the same size, with its time set back, is different."""
    file = tmp_path / "redis.conf"
    file.write_text("port 6379\n")
    facts = file.stat()
    glance, before = HostGlance(), seen(watch=(str(file),), config=WatchedFiles().config_digest([str(file)]))
    assert not looks_different(glance, before)
    file.write_text("port 6380\n")
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert looks_different(glance, before)


def test_what_is_read_in_process_is_told_of_this_very_process(tmp_path: Path, child: "subprocess.Popen[bytes]") -> None:
    """The digest is of the files as they are now; a number that is another process's by now says nothing."""
    file = tmp_path / "redis.conf"
    file.write_text("port 6379\n")
    before = seen(watch=(str(file),), config=digest("0" * 64), identity=identity(child.pid))
    known = HostGlance().known(before)
    assert digest(sha256(b"port 6379\n").hexdigest()) == known.config
    command = sha256(b"sleep\x001000\0").hexdigest()
    assert f"{child.pid}:{start_time(child.pid)}:{command}" == known.command
    another = Identity(boot_id=boot_id(), pid=child.pid, start_time=1)
    assert "" == HostGlance().known(seen(identity=another)).command
    assert Known() == HostGlance().known(seen())


def test_a_file_that_cannot_be_read_is_left_to_the_script(tmp_path: Path) -> None:
    """A folder in a file's place has no digest in process, so the script is asked."""
    assert "" == WatchedFiles().config_digest([str(tmp_path)])


def test_an_exit_calls_back(child: "subprocess.Popen[bytes]") -> None:
    """The end of a watched process is told at once, once."""

    async def watch() -> list[str]:
        ended: list[str] = []
        told = asyncio.Event()
        watcher = ExitWatch(lambda service: (ended.append(service), told.set()))
        watcher.watch({"one": identity(child.pid)})
        child.kill()
        await asyncio.wait_for(told.wait(), 20)
        watcher.close()
        return ended

    assert ["one"] == asyncio.run(watch())


def test_an_exit_before_the_watch_is_not_missed(child: "subprocess.Popen[bytes]") -> None:
    """A process that ended between the look and the watch is told; saying its name again is not believed."""
    before = identity(child.pid)
    child.kill()
    child.wait()

    async def watch() -> list[str]:
        ended: list[str] = []
        watcher = ExitWatch(ended.append)
        watcher.watch({"one": before})
        watcher.watch({"one": before})
        return ended

    assert ["one"] == asyncio.run(watch())


def test_a_service_that_is_watched_no_more_is_forgotten(child: "subprocess.Popen[bytes]") -> None:
    """After a service left, the end of its process wakes nobody, and no descriptor is kept."""

    async def watch() -> tuple[list[str], int]:
        ended: list[str] = []
        before = len(os.listdir("/proc/self/fd"))
        watcher = ExitWatch(ended.append)
        watcher.watch({"one": identity(child.pid)})
        watcher.watch({})
        child.kill()
        child.wait()
        await asyncio.sleep(0)
        return ended, len(os.listdir("/proc/self/fd")) - before

    assert ([], 0) == asyncio.run(watch())


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that answers what a file says, and counts how often it was asked."""
    answer, asked, program = tmp_path / "answer", tmp_path / "asked", tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >>{asked}\ncat {answer}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return answer


def unit(name: str, state: str = "active", pid: int = 7) -> str:
    return f"Id={name}\nActiveState={state}\nSubState=running\nMainPID={pid}\n"


def test_all_units_are_one_question(systemctl: Path) -> None:
    """systemd is asked once for every unit without a process to look at; a unit whose state changed is different."""
    one, two = seen(unit="one.service"), Observation(service="two", state="running", seen_at=NOW, unit="two.service")

    async def look() -> list[frozenset[str]]:
        glance = HostGlance()
        told = []
        for state in ("active", "active", "failed"):
            systemctl.write_text(unit("one.service") + "\n" + unit("two.service", state))  # noqa: ASYNC240
            told.append(await glance.different([one, two]))
        return told

    assert [frozenset({"one", "two"}), frozenset(), frozenset({"two"})] == asyncio.run(look())
    assert 3 == len((systemctl.parent / "asked").read_text().splitlines())


def test_a_unit_with_a_process_needs_no_question(systemctl: Path, child: "subprocess.Popen[bytes]") -> None:
    """Where the process is known it is looked at, and systemd is left alone."""
    assert not looks_different(HostGlance(), seen(unit="one.service", identity=identity(child.pid)))
    assert not (systemctl.parent / "asked").exists()
