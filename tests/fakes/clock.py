"""A clock that stands until it is told to go on."""

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Wall clock and monotonic clock, which a test may move apart."""

    def __init__(self, now: datetime = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)) -> None:
        self.wall = now
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Both clocks go on."""
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds)
