"""The agent while the disk takes nothing at its start: it stays up, says why, and begins when it can.

Ending instead would be a crash loop: a supervisor starts it again every few seconds, and nobody reads why.
"""

import asyncio
import signal
from pathlib import Path

import structlog

from puller.answering import answering
from puller.clock import SystemClock
from puller.disk import DiskTrouble, is_writable
from puller.life import Life
from puller.paths import Paths
from puller.supervision import notify, tell_watchdog
from puller.version import agent_version

LOOK_AGAIN_S = 5.0
_log = structlog.get_logger("towline.agent")


async def until_writable(paths: Paths, why: DiskTrouble) -> bool:
    """Waits; True when there is room, False when told to stop."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _log.error("waiting for the disk", reason=why.reason, message=str(why))
    life = Life(clock=SystemClock(), version=agent_version(), has_sink=False)
    life.note_failure(why.reason, str(why))
    notify("READY=1")
    notify(f"STATUS={why.reason}: {str(why)[:300]}")
    watchdog = asyncio.create_task(tell_watchdog())
    try:
        with answering(paths, life.word) as open_:
            # A wait first: a probe is small, and what failed at the start may fail again at once.
            while not await _is_set(stop, LOOK_AGAIN_S):
                open_.open()
                if is_writable(_existing(why.folder)):
                    _log.info("the disk can be written again", folder=str(why.folder))
                    return True
    finally:
        watchdog.cancel()
        await asyncio.gather(watchdog, return_exceptions=True)
    return False


async def _is_set(stop: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await stop.wait()
    except TimeoutError:
        return False


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(place for place in (folder, *folder.parents) if place.is_dir())
