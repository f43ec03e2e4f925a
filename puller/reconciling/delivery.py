"""Report: from the outbox to the backend. What the backend has confirmed is forgotten here, and nothing else."""

import structlog

from desired_state.names import Digest, HostName
from desired_state.report import Delivery, Heartbeat
from puller.crash_points import reached
from puller.ports import Clock, Sink, Stalled, Unavailable
from puller.store import Store, outbox

MAX_DELIVERIES = 20
"""In one pass; a backlog of more is drained by the next ones."""
_log = structlog.get_logger("towline.delivery")


class Deliverer:
    """Sends what waits, oldest first, and a heartbeat. A backend that is away costs nothing but the try."""

    def __init__(self, *, host: HostName, sink: Sink, store: Store, clock: Clock) -> None:
        self._host, self._sink, self._store, self._clock = host, sink, store, clock
        self._not_before = 0.0
        self._down = False

    async def deliver(self, document_digest: Digest | None) -> None:
        """Sends until nothing waits. A failure is logged once, not each minute; the reports stay."""
        if self._clock.monotonic() < self._not_before:
            return
        try:
            for _ in range(MAX_DELIVERIES):
                if not await self._deliver_some(document_digest):
                    break
        except (Unavailable, Stalled) as error:
            self._failed(error)
        else:
            self._down = False

    async def _deliver_some(self, document_digest: Digest | None) -> bool:
        """One delivery; whether more waits."""
        reports, seq = await self._store.read(lambda db: (outbox.waiting(db), outbox.seq(db)))
        heartbeat = Heartbeat(
            schema="towline.heartbeat/1",
            host=self._host,
            seq=seq,
            at=self._clock.now(),
            document_digest=document_digest or "",
        )
        reached("before_deliver")
        receipt = await self._sink.deliver(Delivery(reports=reports, heartbeat=heartbeat))
        reached("after_deliver")
        if reports:
            await self._store.transact(outbox.confirm, receipt.accepted)
            reached("after_delivered")
        if receipt.next_delivery_s:
            self._not_before = self._clock.monotonic() + receipt.next_delivery_s
            return False
        progress = bool(set(receipt.accepted) & {report.id for report in reports})
        return progress and await self._store.read(outbox.backlog) > 0

    def _failed(self, error: Unavailable | Stalled) -> None:
        patience_s = error.retry_after_s if isinstance(error, Unavailable) else None
        self._not_before = self._clock.monotonic() + (patience_s or 0.0)
        if not self._down:
            _log.warning("reports wait: the backend does not take them", reason=str(error))
        self._down = True
