"""What happens next after a failure: stalled (a person must act), wait (for something else), retry (with backoff)."""

from enum import StrEnum

from desired_state.answer import Answer
from desired_state.contract import Exit

BASE_S = 5.0
CAP_S = 600.0
MAX_ATTEMPTS = 5
"""An intended step of a new revision that failed so often makes the revision a bad one."""


class Next(StrEnum):
    """The class of a failure."""

    STALLED = "stalled"
    WAIT = "wait"
    RETRY = "retry"


_STALLING = frozenset(
    {Exit.BAD_ARGUMENTS, Exit.NOT_IMPLEMENTED, Exit.PERMISSION, Exit.NOT_INSTALLED, Exit.DOCUMENT_WRONG}
)


def after_failure(answer: Answer | None) -> Next:
    """What a failed step deserves. None: it never answered (timeout, killed, power loss): that may pass.

    A script that breaks its contract stalls: the same script will break it again.
    """
    if answer is None:
        return Next.RETRY
    if answer.fault or answer.exit_code in _STALLING:
        return Next.STALLED
    return Next.RETRY


def backoff_s(attempt: int, jitter: float) -> float:
    """Seconds to wait before try number attempt+1 (attempt counts failures, from 1; jitter uniform in [0, 1)).

    Full jitter, but never less than a tenth of the ceiling, so that a failing host is never busy.
    Source: M. Brooker, "Exponential Backoff And Jitter", 2015.
    """
    ceiling = min(CAP_S, BASE_S * 2.0 ** min(max(attempt, 1) - 1, 20))  # 2**1024 is no float
    return ceiling * (0.1 + 0.9 * jitter)
