"""Processes that a script left behind: whoever still carries `TOWLINE_STEP=<id>` of this prefix in its environment.

A process group misses children that called `setsid`; the environment that a process was started with stays readable.
"""

import asyncio
import os
import signal
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

GRACE_S = 0.2
"""A child between fork and exec still shows its parent's environment."""
TERM_S = 2.0


class Marks(Struct, frozen=True):
    """What leftovers carry. Two pullers of one machine may have steps of one id, but not one prefix."""

    prefix: bytes
    steps: frozenset[bytes]


async def end_leftovers(prefix: str, steps: Iterable[str]) -> int:
    """Ends every process that carries one of these step ids; how many there were. Waits until they are gone."""
    marks = Marks(f"TOWLINE_PREFIX={prefix}".encode(), frozenset(f"TOWLINE_STEP={step}".encode() for step in steps))
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


async def _gone(marks: Marks) -> bool:
    deadline = asyncio.get_running_loop().time() + TERM_S
    while await asyncio.to_thread(_carrying, marks):
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


def _carrying(marks: Marks) -> list[int]:
    own = os.getpid()
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return [pid for pid in pids if pid != own and _carries(pid, marks)]


def _carries(pid: int, marks: Marks) -> bool:
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:  # gone, or somebody else's
        return False
    if b"TOWLINE_STEP=" not in environ:
        return False
    variables = set(environ.split(b"\0"))
    return marks.prefix in variables and not marks.steps.isdisjoint(variables)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
