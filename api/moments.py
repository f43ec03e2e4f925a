"""Moments: in the database integer microseconds since 1970, everywhere else datetimes with a zone."""

from datetime import UTC, datetime, timedelta

_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _START) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """The moment, in UTC."""
    return _START + timedelta(microseconds=microseconds)


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)
