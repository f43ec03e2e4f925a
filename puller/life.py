"""What this puller did since it began: what it answers to who asks whether it lives."""

import os

from desired_state.report import Delivery, Receipt
from puller.answering import MAX_MESSAGE, Word
from puller.ports import Clock, Sink, Stalled, Unavailable
from puller.reconciling.reconcile import PassEnd
from puller.release import release_of


class Life:
    """Counts of one process."""

    def __init__(self, *, clock: Clock, version: str, has_sink: bool, doing: str = "") -> None:
        """`doing`: what to say before a pass was completed."""
        self._clock = clock
        self._began = clock.monotonic()
        self._version = version
        self._release = release_of("self")
        self._has_sink = has_sink
        self._passes = 0
        self._last_end: float | None = None
        self._last_good_end: float | None = None
        self._delivered = 0
        self._undelivered = ""
        self._ready, self._reason, self._message = "Unknown", "NoPassYet", doing
        self._revision: int | None = None

    def count_delivery(self) -> None:
        """The backend acknowledged a delivery."""
        self._delivered += 1
        self._undelivered = ""

    def note_undelivered(self, why: str) -> None:
        """It did not take one."""
        self._undelivered = why[:MAX_MESSAGE]

    def count_pass(self, end: PassEnd) -> None:
        """A pass was completed."""
        self._passes += 1
        self._last_end = self._clock.monotonic()
        self._revision = end.status.accepted_revision
        ready = next((c for c in end.status.conditions if c.type == "Ready"), None)
        if ready is not None:
            self._ready, self._reason, self._message = ready.status, ready.reason, ready.message
            if ready.status == "True":
                self._last_good_end = self._last_end

    def note_failure(self, reason: str, message: str) -> None:
        """Passes cannot be completed now: whatever was true of this host, nobody knows any more."""
        self._ready, self._reason, self._message = "Unknown", reason, message

    def word(self) -> Word:
        """What it answers now."""
        now = self._clock.monotonic()
        return Word(
            pid=os.getpid(),
            version=self._version,
            release=self._release,
            up_s=int(now - self._began),
            passes=self._passes,
            pass_age_s=_age_s(self._last_end, now),
            good_pass_age_s=_age_s(self._last_good_end, now),
            delivered=self._delivered,
            undelivered=self._undelivered,
            sink=self._has_sink,
            ready=self._ready,
            reason=self._reason,
            revision=self._revision,
            message=self._message[:MAX_MESSAGE],
        )


def _age_s(moment: float | None, now: float) -> int | None:
    return None if moment is None else int(now - moment)


class CountedSink:
    """A sink whose acknowledged deliveries are counted."""

    def __init__(self, sink: Sink, life: Life) -> None:
        self._sink = sink
        self._life = life

    async def deliver(self, delivery: Delivery) -> Receipt:
        """See ports.Sink."""
        try:
            receipt = await self._sink.deliver(delivery)
        except (Stalled, Unavailable) as error:
            self._life.note_undelivered(str(error))
            raise
        self._life.count_delivery()
        return receipt

    async def close(self) -> None:
        """See ports.Sink."""
        await self._sink.close()
