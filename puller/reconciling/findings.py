"""What a pass has found so far. It grows while the pass goes on: whatever ends it, this much can be recorded."""

from dataclasses import dataclass, field
from datetime import datetime

from desired_state.acceptance import Accepted
from desired_state.names import ServiceName
from desired_state.observed import Observed
from desired_state.outcome import Evidence
from desired_state.record import Record
from desired_state.step import Plan
from desired_state.withdrawal import ToHold
from puller.reconciling import backoff
from puller.reconciling.applying import Failure
from puller.reconciling.intake import Taken
from puller.reconciling.modes import Allowed
from puller.store.journal import OpenRun
from puller.store.snapshot import Snapshot
from puller.store.waits import Wait, Waits


@dataclass(kw_only=True)
class Findings:
    """One pass."""

    run: OpenRun
    began: float
    """On the monotonic clock."""
    now: datetime
    known: Snapshot
    record: Record
    waits: Waits
    taken: Taken = field(default_factory=Taken)
    allowed: Allowed = field(default_factory=lambda: Allowed(mode="enforce"))
    allow_removals: int | None = None
    in_force: ToHold | None = None
    """The document that this pass holds the host to: the newest accepted, the last good one, or one withdrawn."""
    newest: Accepted | None = None
    observed: Observed = field(default_factory=dict)
    plan: Plan | None = None
    expired: str = ""
    rolled_back: str = ""
    withdrawn: str = ""
    failures: list[Failure] = field(default_factory=list)
    stalled: list[str] = field(default_factory=list)
    """Failures that belong to no step and need a person."""
    retrying: list[str] = field(default_factory=list)
    """Failures that belong to no step and may pass."""

    def waiting(self) -> frozenset[ServiceName]:
        """Services that are not tried now."""
        return frozenset(wait.service for wait in self._waits_in_force() if self._holds(wait))

    def blocked(self) -> list[Wait]:
        """Waits of services in which something is still to be done."""
        unfinished = {change.service for change in self.plan.changes} if self.plan else set()
        return [wait for wait in self._waits_in_force() if wait.service in unfinished]

    def over(self) -> tuple[ServiceName, ...]:
        """Services whose failures are forgotten: well for long enough, or spoken of no more."""
        if self.plan is None or self.in_force is None:
            return ()
        unfinished = {change.service for change in self.plan.changes} | {held.service for held in self.plan.held}
        wanted = {service.name for service in self.in_force.document.services}
        return tuple(
            wait.service
            for wait in self.waits.values()
            if wait.service not in unfinished and (wait.service not in wanted or backoff.is_over(wait, self.now))
        )

    def evidence(self) -> Evidence:
        """All that is known, as the outcome reads it."""
        previous = self.known.status.conditions if self.known.status else ()
        blocked = self.blocked()
        return Evidence(
            document=self.in_force.document if self.in_force else None,
            plan=self.plan,
            record=self.record,
            observed=self.observed,
            mode=self.allowed.mode,
            now=self.now,
            stalled=(*self.stalled, *(wait.message for wait in blocked if wait.state == "stalled")),
            retrying=(*self.retrying, *(wait.message for wait in blocked if wait.state == "retry")),
            refused_reason=self.taken.refused.reason if self.taken.refused else "",
            refused=self.taken.refused.message if self.taken.refused else "",
            unavailable=self.taken.unavailable,
            expired=self.expired,
            rolled_back=self.rolled_back,
            suspended_locally=self.allowed.suspended_locally,
            withdrawn=self.withdrawn,
            previous=previous,
        )

    def _waits_in_force(self) -> list[Wait]:
        digest = self.in_force.digest if self.in_force else ""
        return [wait for wait in self.waits.values() if wait.document == digest]

    def _holds(self, wait: Wait) -> bool:
        return self.in_force is not None and backoff.holds(wait, document=self.in_force.digest, now=self.now)
