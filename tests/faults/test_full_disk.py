"""A disk that is full or read-only: the agent says so, stays up, changes nothing, and goes on by itself."""

import errno
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from puller.disk import trouble
from puller.settings import Settings, SourceSettings, store_settings
from puller.single_flight import SingleFlight, holder
from tests.core.publisher import HOST
from tests.fakes.puller import running
from tests.fakes.real_host import CHECKOUT, RealHost, real_host
from tests.puller.test_agent import DEADLINE_S, until
from tests.servers.small_disk import SmallDisk, may_mount, small_disk

needs_mounts = pytest.mark.skipif(not may_mount(), reason="this machine lets nobody mount")


@dataclass
class Small:
    """A host whose prefix lies on a small disk; its documents come from elsewhere."""

    disk: SmallDisk
    host: RealHost
    log: Path

    def call(self, *arguments: str) -> tuple[int, str]:
        """`towline-puller` there: exit code, and everything it said."""
        ended = subprocess.run(
            self._command(*arguments), capture_output=True, text=True, cwd=CHECKOUT, check=False, timeout=60
        )
        return ended.returncode, ended.stdout + ended.stderr

    def alive(self) -> dict[str, Any]:
        """What `alive` says."""
        facts: dict[str, Any] = json.loads(self.call("alive", "--json")[1])
        return facts

    def version(self) -> str:
        """Of the service, as it was installed."""
        file = self.host.prefix / "services/one/version"
        return file.read_text() if file.exists() else ""

    @contextmanager
    def agent(self) -> Iterator["subprocess.Popen[bytes]"]:
        with self.log.open("ab") as log, subprocess.Popen(self._command("run"), stderr=log, cwd=CHECKOUT) as process:
            try:
                yield process
            finally:
                process.terminate()
                process.wait(timeout=DEADLINE_S)
                print(self.log.read_text())

    def _command(self, *arguments: str) -> list[str]:
        prefix = self.disk.mount / "prefix"
        return self.disk.command([sys.executable, "-m", "puller.cli", "--prefix", prefix, *arguments])


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    """Enrolled, and with a document to reach."""
    with small_disk(tmp_path / "disk") as disk:
        host = real_host(disk.outside)
        host.published = tmp_path / "published"
        store_settings(host.paths, Settings(host=HOST, source=SourceSettings(type="directory", path=host.published)))
        host.publish(running("one"), poll_interval_s=1)
        yield Small(disk, host, tmp_path / "log")


@needs_mounts
def test_a_disk_that_fills_under_a_running_agent(small: Small) -> None:
    """It is said once in the log, in `alive` and in `status`; with room again the new document is reached."""
    with small.agent() as agent:
        until(lambda: small.alive().get("reason") == "Converged")
        small.disk.fill()
        small.host.publish(running("one", version="2.0"), poll_interval_s=1)
        until(lambda: small.alive()["reason"] == "DiskFull")
        facts = small.alive()
        assert ("serving", "Unknown", "1.0") == (facts["state"], facts["ready"], small.version())
        assert "What to do: make room" in facts["message"]
        assert "this host's disk is full" in small.call("status")[1]
        small.disk.empty()
        until(lambda: small.version() == "2.0" and small.alive()["reason"] == "Converged")
        assert None is agent.poll()
    log = small.log.read_text()
    assert (1, 0) == (log.count('"waiting for the disk"'), log.count("Traceback"))
    installs = [call for call in small.host.calls() if call[:3] == ["begin", "one", "install"]]
    assert (2, "ok") == (len(installs), integrity(small))


@needs_mounts
def test_an_agent_that_starts_on_a_full_disk(small: Small) -> None:
    """It stays up, answers, and makes its first pass when there is room."""
    small.disk.fill()
    with small.agent() as agent:
        until(lambda: small.alive().get("reason") == "DiskFull")
        assert ("serving", 0) == (small.alive()["state"], small.alive()["passes"])
        small.disk.empty()
        until(lambda: small.alive().get("reason") == "Converged")
        assert None is agent.poll()
    assert ("1.0", "ok") == (small.version(), integrity(small))


@needs_mounts
def test_an_agent_that_starts_on_a_read_only_disk(small: Small) -> None:
    """No socket can be made there: `alive` says why. Mounted writable again it begins by itself."""
    with small.agent():
        until(lambda: small.alive().get("reason") == "Converged")
    small.disk.remount("ro")
    with small.agent() as agent:
        until(lambda: small.alive()["state"] == "not-serving")
        facts = small.alive()
        assert (agent.pid, True) == (facts["pid"], "is read-only" in facts["message"]), facts
        until(lambda: "waiting for the disk" in small.log.read_text())
        code, told = small.call("status")
        assert (True, True) == (code in (0, 3), "this host's disk is read-only" in told), told
        small.disk.remount("rw")
        until(lambda: small.alive().get("reason") == "Converged")
        assert agent.pid == small.alive()["pid"]
    assert "ok" == integrity(small)


@needs_mounts
def test_the_order_to_stop_is_obeyed_while_it_waits(small: Small) -> None:
    """SIGTERM ends an agent that waits for its disk, with exit code 0."""
    small.disk.fill()
    with small.agent() as agent:
        until(lambda: small.alive().get("reason") == "DiskFull")
    assert 0 == agent.returncode


@needs_mounts
@pytest.mark.parametrize("command", [["once"], ["suspend", "--reason", "disk"], ["plan"]])
def test_commands_by_hand_say_it(small: Small, command: list[str]) -> None:
    """On a read-only disk they end with clear words and without a traceback."""
    small.disk.remount("ro")
    code, told = small.call(*command)
    assert (True, True, False) == (code != 0, "read-only" in told, "Traceback" in told), told


@needs_mounts
def test_the_holder_of_a_lock_on_a_read_only_disk_is_known(small: Small) -> None:
    """It could not write itself down, and the pid of the last one is there: the kernel knows better."""
    lock = small.host.paths.lock
    lock.write_text("1\n")
    code = (
        "import sys, time; from pathlib import Path; from puller.single_flight import SingleFlight\n"
        "with SingleFlight(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    small.disk.remount("ro")
    command = small.disk.command([sys.executable, "-c", code, small.disk.mount / "prefix/state/lock"])
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=CHECKOUT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = holder(lock)
        process.kill()
    assert (process.pid, "1\n") == (found, lock.read_text())


def test_a_shorter_pid_replaces_a_longer_one(tmp_path: Path) -> None:
    """Nothing of the last holder's number is left."""
    lock = tmp_path / "lock"
    lock.write_text("9" * 18 + "\n")
    with SingleFlight(lock):
        written = lock.read_text()
    assert f"{written.strip()}\n" == written
    assert True is Path(f"/proc/{written.strip()}").exists()


def integrity(small: Small) -> str:
    command = [sys.executable, "-c", INTEGRITY, small.disk.mount / "prefix/state/towline.db"]
    return subprocess.run(small.disk.command(command), capture_output=True, text=True, check=True).stdout.strip()


INTEGRITY = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchone()[0])"


def test_the_folder_that_is_full_is_named(tmp_path: Path) -> None:
    """Packages or steps may lie on another file system than the state: that one is to be emptied, and watched."""
    error = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "steps/missing/lock"))
    (tmp_path / "steps").mkdir()
    found = trouble(ExceptionGroup("of a step", [error]), Path("/state"))
    assert found is not None
    assert ("DiskFull", tmp_path / "steps") == (found.reason, found.folder)


def test_other_errors_are_none_of_the_disks() -> None:
    """What is damaged or forbidden is not waited for."""
    errors = (PermissionError(errno.EACCES, "no"), sqlite3.DatabaseError("malformed"), ValueError("x"))
    assert [None, None, None] == [trouble(error, Path("/")) for error in errors]
