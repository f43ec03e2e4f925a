"""One server process of a test: started, waited for, stopped by its process id, and never left behind."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random


class ServerStartError(RuntimeError):
    """A server ended or stayed silent; the text holds the end of its log."""


_GIVEN: set[int] = set()
_PORTS = Random(f"{os.getpid()}-{time.time_ns()}")


def free_port(*beside: int) -> int:
    """A TCP port on loopback that nothing listens on now, and that this process never gave before.

    Never one of the range from which the kernel takes the ports of outgoing connections (32768 and up): such a port is
    taken again at any moment by whoever connects somewhere. `beside` are the distances of more ports that must be free.
    """
    while True:
        port = _PORTS.randrange(11_000, 31_000)
        wanted = {port, *(port + distance for distance in beside)}
        if _GIVEN.isdisjoint(wanted) and all(_is_free(one) for one in wanted):
            _GIVEN.update(wanted)
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("", port))
        return True
    return False


def free_ports(count: int) -> list[int]:
    """Several of them, each another."""
    return [free_port() for _ in range(count)]


def listens(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class ServerProcess:
    """A child process with a log file.

    It is killed by the kernel when the thread that started it ends, so a killed test run leaves nothing behind.
    """

    def __init__(self, command: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *(os.fspath(part) for part in command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                # A group of its own: Ctrl-C at the terminal goes to pytest, which then stops the servers in order.
                process_group=0,
            )

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def wait_until(self, ready: Callable[[], bool], *, timeout_s: float = 60) -> None:
        """Poll until ready() is true; raise ServerStartError when the process ends first or time runs out."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                state = "still runs" if self._process.returncode is None else f"ended with {self._process.returncode}"
                self.stop()
                raise ServerStartError(f"{self._process.args!r} {state} and is not ready:\n{self.log_tail()}")
            time.sleep(0.02)

    def log_tail(self) -> str:
        """The last four kilobytes of what the server wrote."""
        return self._log.read_bytes()[-4096:].decode(errors="replace")

    def stop(self, *, timeout_s: float = 20) -> None:
        """Ask it to end, insist after timeout_s. Stopping twice is fine."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL, nothing flushed."""
        self._process.kill()
        self._process.wait()
