"""A brake on guessing: so many failures from one address in a while, then it must wait.

Kept in memory, per process, bounded: it slows an attacker down and is no lock. 256 random bits are not guessed anyway;
what it protects is the audit log, which takes a line for each failure.
"""

from collections import OrderedDict, deque

from api.errors import Refused

FAILURES = 10
WINDOW_S = 60.0
_ADDRESSES = 10_000


class TooManyFailures(Refused):
    """Wait a minute."""

    status = 429
    title = "Too many failures"


class Throttle:
    """Counts failures per address. Times are seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, address: str, now_s: float) -> None:
        """Passes while there is patience left. Raises TooManyFailures."""
        failures = self._failures.get(address, deque())
        while failures and failures[0] <= now_s - WINDOW_S:
            failures.popleft()
        if len(failures) >= FAILURES:
            raise TooManyFailures(f"{FAILURES} attempts from {address} failed within a minute; wait, and look twice")

    def note_failure(self, address: str, now_s: float) -> None:
        """One more; the address not heard of for longest is forgotten when there are too many."""
        self._failures.setdefault(address, deque(maxlen=FAILURES)).append(now_s)
        self._failures.move_to_end(address)
        if len(self._failures) > _ADDRESSES:
            self._failures.popitem(last=False)
