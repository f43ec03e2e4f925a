"""Processes that a script left behind: whoever still carries `TOWLINE_STEP=<id>` in its environment.

A process group misses children that called `setsid`; the environment that a process was started with stays readable.
"""

import asyncio
import os
import signal
from pathlib import Path

GRACE_S = 0.2
"""A child between fork and exec still shows its parent's environment."""
TERM_S = 2.0


async def end_leftovers(steps: frozenset[str]) -> int:
    """Ends every process that carries one of these step ids; how many there were. Waits until they are gone."""
    marks = tuple(f"TOWLINE_STEP={step}".encode() for step in steps)
    found = await asyncio.to_thread(_carrying, marks)
    if not found:
        return 0
    await asyncio.sleep(GRACE_S)
    found = await asyncio.to_thread(_carrying, marks)
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal(found, number)
        if not await _gone(marks):
            continue
        break
    return len(found)


async def _gone(marks: tuple[bytes, ...]) -> bool:
    deadline = asyncio.get_running_loop().time() + TERM_S
    while await asyncio.to_thread(_carrying, marks):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


def _carrying(marks: tuple[bytes, ...]) -> list[int]:
    own = os.getpid()
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [pid for pid in pids if pid != own and _carries(pid, marks)]


def _carries(pid: int, marks: tuple[bytes, ...]) -> bool:
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # gone, or somebody else's
        return False
    return any(mark in environ.split(b"\0") for mark in marks) if b"TOWLINE_STEP=" in environ else False


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
