"""Waiting for something to become true, with a deadline."""

import time
from collections.abc import Callable

PATIENCE_S = 300.0
"""Far more than anything takes here, also on a machine with many others' work: a deadline, not a measure."""


class NotInTime(AssertionError):
    """What was waited for did not happen; the text says what was seen last."""


def until(
    what: str,
    check: Callable[[], object],
    *,
    limit_s: float = PATIENCE_S,
    every_s: float = 0.2,
    seen: Callable[[], object] | None = None,
) -> float:
    """Waits until the check is true; the seconds that it took. `seen` tells what there is instead, if it never is."""
    began = time.monotonic()
    while not check():
        if time.monotonic() - began > limit_s:
            raise NotInTime(f"{what}: not within {limit_s:.0f} s" + (f"; instead: {seen()}" if seen else ""))
        time.sleep(every_s)
    return time.monotonic() - began
