"""The real clock."""

import time
from datetime import UTC, datetime


class SystemClock:
    """See ports.Clock."""

    def now(self) -> datetime:
        """The wall clock, UTC, whole seconds."""
        return datetime.now(UTC).replace(microsecond=0)

    def monotonic(self) -> float:
        """Seconds that only grow."""
        return time.monotonic()
