"""What this process counted since it started. Plain numbers: a poll must not pay for a metrics library."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Durations:
    """How often something was done, and how many seconds it took together."""

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Count what is done in the block, whether it succeeds or not."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.count += 1
            self.seconds += time.monotonic() - started


class Tally:
    """Counters of one process. Keys come from closed sets only."""

    def __init__(self) -> None:
        self.polls: Counter[int] = Counter()
        """Answers to polls, by HTTP status."""
        self.publishing = Durations()
        self.publications: Counter[str] = Counter()
        """Calls of publish: `complete`, `incomplete`, `failed`."""
        self.documents = 0
        """Issued and stored."""
        self.storing = Durations()
        """Transactions that stored what hosts sent."""
        self.deliveries: Counter[str] = Counter()
        """What hosts sent: `stored`, `refused`, `failed`."""
        self.target_problems: dict[str, bool] = {}
        """Whether the last delivery to each target failed; targets are those of the settings."""
