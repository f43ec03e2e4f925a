"""What happens next after a failed step, and after a repair: stalled, or tried again later. Pure."""

from datetime import datetime, timedelta

from desired_state.names import Digest, ServiceName
from desired_state.retry import CAP_S, Next, backoff_s
from puller.store.waits import Wait

QUIET_S = 600.0
"""So long after its next try a service must have been well before its failures are forgotten."""


def after(
    before: Wait | None,
    *,
    service: ServiceName,
    document: Digest,
    what_next: Next,
    message: str,
    now: datetime,
    jitter: float,
    at_least_s: float = 0.0,
) -> Wait:
    """The wait after a failure or a repair. Failures of another document do not count: it may have the cure."""
    same = before if before is not None and before.document == document else None
    attempts = (same.attempts if same else 0) + 1
    delay_s = max(at_least_s, backoff_s(attempts, jitter))
    return Wait(
        service=service,
        state="stalled" if what_next is Next.STALLED else "retry",
        attempts=attempts,
        next_try=now + timedelta(seconds=delay_s),
        document=document,
        message=message[:1000],
        since=same.since if same else now,
    )


def holds(wait: Wait, *, document: Digest, now: datetime) -> bool:
    """Whether the service is not to be tried now."""
    if wait.document != document:
        return False
    # A clock that was set back must not make a host wait for years.
    return wait.state == "stalled" or timedelta() < wait.next_try - now <= timedelta(seconds=CAP_S)


def is_over(wait: Wait, now: datetime) -> bool:
    """Whether a service that is well now has been so for long enough to forget its failures."""
    well_for = now - wait.next_try
    far_off = well_for < -timedelta(seconds=CAP_S)  # the clock was set back
    return wait.state == "stalled" or far_off or well_for >= timedelta(seconds=QUIET_S)
