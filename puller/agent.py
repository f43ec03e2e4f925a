"""The agent: when a pass is made, and by whom. One task makes them, one after the other; everything else only wakes it.

APScheduler is the clock. It runs by the wall clock, which may be set; so a second look by the monotonic clock makes
sure that no poll is later than its interval and ten seconds, whatever happens to the date.
"""

import asyncio
import gc
import signal
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from msgspec.structs import replace

from puller.answering import answering
from puller.calls.leftovers import end_leftovers
from puller.calls.scripts import LOOK_STEP, look_step
from puller.disk import DiskTrouble, is_writable, trouble
from puller.disk_wait import LOOK_AGAIN_S
from puller.life import CountedSink, Life
from puller.looking.exits import ExitWatch
from puller.reconciling.parts import Parts
from puller.reconciling.reconcile import PassEnd, Reconciler, Trigger
from puller.supervision import notify, tell_watchdog

DEFAULT_INTERVAL_S = 60
LATE_S = 10.0
"""So much later than its interval a poll may be before the monotonic clock steps in."""
DRAIN_S = 3.0
"""So long a pass may go on after the agent was told to stop; a step that runs is left to its keeper."""
_JOB = "poll"
_log = structlog.get_logger("towline.agent")


class Agent:
    """Runs until it is told to stop."""

    def __init__(self, parts: Parts) -> None:
        self.life = Life(
            clock=parts.clock,
            version=parts.agent_version,
            has_sink=parts.sink is not None,
            doing="the first pass is on",
        )
        if parts.sink is not None:
            parts = replace(parts, sink=CountedSink(parts.sink, self.life))
        self._parts = parts
        self._reconciler = Reconciler(parts)
        self._wanted: set[Trigger] = set()
        self._woken = asyncio.Event()
        self._stop = asyncio.Event()
        self._interval_s = float(DEFAULT_INTERVAL_S)
        self._last_pass = parts.clock.monotonic()
        self._is_at_work = False
        self._disk: DiskTrouble | None = None
        self._disk_patience_s = LOOK_AGAIN_S
        self._retry: asyncio.TimerHandle | None = None
        self._exits = ExitWatch(lambda _: self.wake("exit"))
        self._scheduler = AsyncIOScheduler(
            timezone="UTC", job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )

    def wake(self, trigger: Trigger) -> None:
        """Asks for a pass. Asking twice before it begins is asking once."""
        self._wanted.add(trigger)
        self._woken.set()

    def stop(self) -> None:
        """Ends the agent: after the pass that is on, or in its middle when that takes long."""
        self._stop.set()

    async def run(self) -> None:
        """Makes passes until stopped, and answers who asks whether it lives."""
        await self._end_old_looks()
        with answering(self._parts.paths, self.life.word) as self._answering:
            await self._live()

    async def _live(self) -> None:
        self._listen()
        self._scheduler.start()
        self._schedule()
        self.wake("start")
        notify("READY=1")  # not after the first pass: that may install for longer than a supervisor waits
        helpers = [asyncio.create_task(work) for work in (self._watch_time(), self._watch_disk(), tell_watchdog())]
        try:
            await self._make_passes()
        finally:
            notify("STOPPING=1")
            self._scheduler.shutdown(wait=False)
            self._exits.close()
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _make_passes(self) -> None:
        first = True
        while await self._is_woken():
            trigger = self._take_trigger()
            end = await self._drained(self._pass(trigger))
            if end is not None:
                self._arrange(end)
            if first:
                # What was loaded once lives for ever: the collector need not look at it again.
                gc.freeze()
                first = False

    async def _is_woken(self) -> bool:
        """Waits for a reason to make a pass; False when the agent shall stop."""
        waits = [asyncio.create_task(self._woken.wait()), asyncio.create_task(self._stop.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return not self._stop.is_set()

    def _take_trigger(self) -> Trigger:
        order: tuple[Trigger, ...] = ("start", "request", "exit", "document", "retry", "schedule")
        trigger = next(t for t in order if t in self._wanted)
        self._wanted.clear()
        self._woken.clear()
        return trigger

    async def _pass(self, trigger: Trigger) -> PassEnd | None:
        self._is_at_work = True
        try:
            end = await self._reconciler.run_pass(trigger)
        except Exception as error:  # noqa: BLE001 - the agent outlives a pass that failed; the next one tries again
            self._note_failure(trigger, error)
            return None
        else:
            self.life.count_pass(end)
            self._disk, self._disk_patience_s = None, LOOK_AGAIN_S
            return end
        finally:
            self._is_at_work = False
            self._answering.open()  # where the disk took no socket before
            self._last_pass = self._parts.clock.monotonic()

    def _note_failure(self, trigger: Trigger, error: Exception) -> None:
        """What broke the pass. A disk that takes nothing is told once in clear words, and looked at until it does."""
        disk = trouble(error, self._parts.paths.state)
        if disk is None:
            _log.error("pass failed", trigger=trigger, error=repr(error), exc_info=error)
            self.life.note_failure("PassFailed", f"a pass failed: {error!r}")
            return
        if str(self._disk) != str(disk):
            _log.error("waiting for the disk", reason=disk.reason, message=str(disk))
        self._disk = disk
        self.life.note_failure(disk.reason, str(disk))
        notify(f"STATUS={disk.reason}: {str(disk)[:300]}")

    async def _watch_disk(self) -> None:
        """Makes a pass as soon as a disk that took nothing can be written again."""
        while True:
            await asyncio.sleep(self._disk_patience_s)
            if self._disk is not None and not self._is_at_work and is_writable(self._disk.folder):
                # A probe is small: a pass may fail again at once, and must not be made every five seconds then.
                self._disk_patience_s = min(2 * self._disk_patience_s, DEFAULT_INTERVAL_S)
                _log.info("the disk can be written again", folder=str(self._disk.folder))
                self.wake("retry")

    async def _drained(self, work: Coroutine[Any, Any, PassEnd | None]) -> PassEnd | None:
        """The pass, or what is done of it three seconds after the order to stop."""
        task, stop = asyncio.create_task(work), asyncio.create_task(self._stop.wait())
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not task.done():
            await asyncio.wait({task}, timeout=DRAIN_S)
        if not task.done():
            _log.warning("stopping in the middle of a pass: a step that runs is kept, and read at the next start")
            task.cancel()
            await asyncio.wait({task})
        return None if task.cancelled() else task.result()

    def _arrange(self, end: PassEnd) -> None:
        """When the next pass is due, and who may ask for one before."""
        document = end.findings.newest.document if end.findings.newest else None
        interval_s = float(document.poll_interval_s) if document else float(DEFAULT_INTERVAL_S)
        if interval_s != self._interval_s:
            self._interval_s = interval_s
            self._schedule()
        self._exits.watch(end.identities)
        if self._retry is not None:
            self._retry.cancel()
        self._retry = None
        if end.next_try_s is not None:
            self._retry = asyncio.get_running_loop().call_later(end.next_try_s, self.wake, "retry")
        ready = next((c for c in end.status.conditions if c.type == "Ready"), None)
        if ready is not None:
            notify(f"STATUS={ready.reason}: {ready.message[:200]}")

    def _schedule(self) -> None:
        """Polls from now on at this interval; the phase is drawn, so that a fleet does not ask as one."""
        phase_s = self._interval_s * self._parts.jitter()
        self._scheduler.add_job(
            self._poll,
            "interval",
            seconds=self._interval_s,
            jitter=max(1, int(self._interval_s / 20)),
            id=_JOB,
            replace_existing=True,
            next_run_time=self._parts.clock.now() + timedelta(seconds=phase_s),
        )

    async def _poll(self) -> None:
        self.wake("schedule")

    async def _watch_time(self) -> None:
        """Steps in when the wall clock was set back and the scheduler sleeps until it has caught up."""
        while True:
            await asyncio.sleep(LATE_S / 2)
            late = self._parts.clock.monotonic() - self._last_pass - self._interval_s * 1.1
            if late > LATE_S / 2 and not self._is_at_work:
                _log.warning("poll is late: was the clock set?", late_s=round(late))
                self._schedule()
                self.wake("schedule")

    def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        for number in (signal.SIGHUP, signal.SIGUSR1):
            loop.add_signal_handler(number, self.wake, "request")

    async def _end_old_looks(self) -> None:
        """Looks that an earlier puller began and that hang still."""
        folder = self._parts.paths.steps / LOOK_STEP
        services = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        if services:
            await end_leftovers(str(self._parts.paths.prefix), [look_step(service) for service in services])
