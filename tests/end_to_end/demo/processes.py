"""Processes that the demo starts, and those that its hosts start: each known by pid and start time, all ended again."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from .narrator import WentWrong

TERM_S = 15.0


class Processes:
    """What was started here, in order; ended in the opposite one."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: list[str], *, environment: Mapping[str, str], cwd: Path) -> int:
        """Starts a process with its own log file; its pid."""
        with (self._logs / f"{name}.log").open("ab") as log:
            self._started[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=dict(environment), cwd=cwd
            )
        return self._started[name].pid

    def must_live(self) -> None:
        """Raises if one of them ended by itself."""
        for name, process in self._started.items():
            if process.poll() is not None:
                raise WentWrong(f"{name} ended by itself with {process.returncode}; its last words:\n{self.tail(name)}")

    def tail(self, name: str, lines: int = 15) -> str:
        """The end of a process's log."""
        path = self._logs / f"{name}.log"
        text = path.read_text("utf-8", "replace") if path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def stop(self, name: str) -> None:
        """Ends one of them."""
        process = self._started.pop(name)
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(TERM_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(TERM_S)

    def kill(self, name: str) -> None:
        """Ends one of them with -9."""
        process = self._started.pop(name)
        process.kill()
        process.wait(TERM_S)

    def stop_all(self) -> None:
        """Ends all of them, the last started first."""
        for process in self._started.values():
            if process.poll() is None:
                process.terminate()
        for name in reversed(list(self._started)):
            self.stop(name)


def identity(pid: int) -> tuple[int, int] | None:
    """Pid and start time of a process that lives; a zombie does not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in ("Z", "X") else (pid, int(fields[19]))


def kept_processes(prefixes: Iterable[Path]) -> list[tuple[int, int]]:
    """The services that run under these prefixes, by the identity files that their keeper wrote, if they live."""
    found = []
    for prefix in prefixes:
        for file in prefix.glob("services/*/run/identity"):
            facts = dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
            pid, start = int(facts.get("pid", "0")), int(facts.get("start_time", "0"))
            if pid > 1 and identity(pid) == (pid, start):
                found.append((pid, start))
    return found


def end(processes: Iterable[tuple[int, int]]) -> None:
    """Ends processes that are still the ones meant: TERM, a wait, KILL."""
    waiting = [one for one in processes if identity(one[0]) == one]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid, start in waiting:
            if identity(pid) == (pid, start):
                os.kill(pid, number)
        deadline = time.monotonic() + TERM_S
        while waiting and time.monotonic() < deadline:
            waiting = [one for one in waiting if identity(one[0]) == one]
            time.sleep(0.05)
        if not waiting:
            return


def living_under(folder: Path) -> list[str]:
    """Processes whose program, working directory or arguments lie under a folder, after a moment to end in."""
    deadline = time.monotonic() + TERM_S
    while (found := processes_under(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [f"{pid}: {_arguments(Path('/proc') / str(pid))[:100]}" for pid, _ in found]


def processes_under(folder: Path) -> list[tuple[int, int]]:
    """The same at this moment, each by its pid and start time."""
    found = []
    for entry in Path("/proc").iterdir():
        one = identity(int(entry.name)) if entry.name.isdigit() and int(entry.name) != os.getpid() else None
        if one is not None and any(place.startswith(str(folder)) for place in _places(entry)):
            found.append(one)
    return found


def _places(entry: Path) -> list[str]:
    places = _arguments(entry).split()
    for link in ("exe", "cwd"):
        try:
            places.append(os.readlink(entry / link))
        except OSError:  # gone meanwhile, or somebody else's
            continue
    return places


def _arguments(entry: Path) -> str:
    try:
        return (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:  # gone meanwhile
        return ""
