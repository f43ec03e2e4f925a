"""The timers of `towline serve`: each calls an idempotent function that a request or a command could call as well.

Only a clock: what is due stands in the database. A call that is missed, doubled or cut off does no harm.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.base import STATE_RUNNING

from api.errors import Refused, TryLater

Job = Callable[[], Awaitable[object]]
CLOCK_CHECK_S = 5.0
CLOCK_STEP_S = 2.0
"""The wall clock may stray so far from the monotonic one between two checks; more is a step (APScheduler#351, #752)."""
DRAIN_S = 30.0
_log = structlog.get_logger()


class Schedule:
    """Jobs, each at its interval, never twice at once in this process."""

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )
        self._running: set[asyncio.Task[None]] = set()
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._clock: asyncio.Task[None] | None = None

    def every(self, seconds: float, name: str, job: Job) -> None:
        """Call the job now and then after each interval, stretched a little so that replicas do not march in step."""
        self._scheduler.add_job(
            self._run,
            "interval",
            args=(name, job),
            id=name,
            seconds=seconds,
            jitter=max(1, int(seconds * 0.1)) if seconds > 1 else None,
            next_run_time=datetime.now(UTC),
        )

    def soon(self, name: str) -> None:
        """Call that job now rather than at its time; one that runs at this moment, once more when it has ended."""
        job = self._scheduler.get_job(name)
        if name in self._busy:
            self._again.add(name)
        elif job is not None and job.next_run_time is not None:
            job.modify(next_run_time=datetime.now(UTC))

    def start(self) -> None:
        """Begin. Needs a running event loop."""
        self._scheduler.start()
        self._clock = asyncio.create_task(self._watch_clock())

    async def stop(self) -> None:
        """Start nothing more, and let what runs end: APScheduler alone would cancel it in the middle."""
        if self._scheduler.running:
            self._scheduler.pause()
        if self._clock is not None:
            self._clock.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._clock
        if self._running:
            await asyncio.wait(self._running, timeout=DRAIN_S)
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def _run(self, name: str, job: Job) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        self._busy.add(name)
        try:
            await self._call(name, job)
            while name in self._again and self._scheduler.state == STATE_RUNNING:
                self._again.discard(name)
                await self._call(name, job)
        finally:
            self._busy.discard(name)
            self._again.discard(name)

    async def _call(self, name: str, job: Job) -> None:
        try:
            await job()
        except TryLater as later:
            _log.info("job waits", job=name, reason=later.detail)
        except Refused as refused:
            _log.warning("job refused", job=name, reason=refused.detail)
        except Exception as error:  # noqa: BLE001 - one failure must not end the timer; the next call tries again
            _log.exception("job failed", job=name, exc_info=error)

    async def _watch_clock(self) -> None:
        """After a step of the wall clock every job is due now: computed times of next runs mean nothing any more."""
        wall, monotonic = time.time(), time.monotonic()
        while True:
            await asyncio.sleep(CLOCK_CHECK_S)
            strayed = (time.time() - wall) - (time.monotonic() - monotonic)
            wall, monotonic = time.time(), time.monotonic()
            if abs(strayed) > CLOCK_STEP_S:
                _log.warning("the wall clock stepped", seconds=round(strayed, 1))
                for job in self._scheduler.get_jobs():
                    job.modify(next_run_time=datetime.now(UTC))
