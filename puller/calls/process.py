"""One child process: started in a session of its own, and waited for without a thread."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class Process:
    """A running child. `wait` must be awaited to its end, or the child stays a zombie until this process ends."""

    def __init__(self, popen: "subprocess.Popen[bytes]") -> None:
        self._popen = popen
        self.pid = popen.pid
        self.stdout, self.stderr = popen.stdout, popen.stderr

    async def wait(self, timeout_s: float) -> int | None:
        """The exit code as a shell would say it (128 + signal), or None when the child still runs after so long."""
        try:
            async with asyncio.timeout(timeout_s):
                await _ended(self._popen)
        except TimeoutError:
            return None
        code = self._popen.wait()
        return code if code >= 0 else 128 - code

    def signal_group(self, number: signal.Signals) -> None:
        """Sends a signal to every process of the child's group; a group that is gone is fine."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return


def spawn(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    stdin: int = subprocess.DEVNULL,
    pipes: bool = False,
) -> Process:
    """Starts a child in its own session, with this environment and no other, and no descriptor but the three."""
    output = subprocess.PIPE if pipes else subprocess.DEVNULL
    return Process(
        subprocess.Popen(
            command, cwd=folder, env=environment, stdin=stdin, stdout=output, stderr=output, start_new_session=True
        )
    )


async def _ended(popen: "subprocess.Popen[bytes]") -> None:
    try:
        pidfd = os.pidfd_open(popen.pid)
    except OSError:  # kernels before 5.3
        await _poll(popen)
        return
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(pidfd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


async def _poll(popen: "subprocess.Popen[bytes]") -> None:
    while popen.poll() is None:  # noqa: ASYNC110 - there is nothing to wait on
        await asyncio.sleep(0.05)
