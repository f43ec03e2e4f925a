"""What time a server has it: by how much this host's clock is off, in words that help.

A clock that is days off makes good certificates look expired, so the date must be had from a server whose certificate
was not checked. Nothing of this host is sent, and the answer decides nothing: it is told to a person.
"""

import ssl
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx2

from puller.ports import Clock

DEADLINE_S = 5.0
TOLERATED_S = 120.0
"""A signature is taken for 300 s and used again for 120: beyond the rest, the clock is the fault."""


def skew_s(date: str, clock: Clock) -> float | None:
    """By how much this host's clock is ahead of the server that sent this `Date`, in seconds; None without one."""
    try:
        return (clock.now() - parsedate_to_datetime(date)).total_seconds()
    except (TypeError, ValueError):
        return None


def skew_told(skew: float) -> str:
    """`2 days ahead of`, `5.75 hours behind`: for sentences on this host's clock and another's.

    A `Date` has whole seconds: the words must not change with them, or each pass would have something new to report.
    """
    size, where = abs(skew), "ahead of" if skew > 0 else "behind"
    for length, unit, digits in ((86400, "days", 2), (3600, "hours", 2), (60, "minutes", 0)):
        if size >= 2 * length:
            return f"{round(size / length, digits):g} {unit} {where}"
    return f"{size:.0f} s {where}"


async def unverified_skew_s(url: str, clock: Clock) -> float | None:
    """By how much this host's clock is ahead of the server's, in seconds; None when it does not say."""
    try:
        parts = urlsplit(url)
        async with httpx2.AsyncClient(verify=_unverified(), timeout=DEADLINE_S) as client:
            response = await client.head(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError):
        return None
    return skew_s(response.headers.get("date", ""), clock)


async def clock_hint(url: str, clock: Clock) -> str:
    """What to say of the clocks where a certificate seems out of its time."""
    skew = await unverified_skew_s(url, clock)
    if skew is None:
        return "Renew it there, or set this host's clock right: the server does not say what time it has"
    if abs(skew) > TOLERATED_S:
        return f"This host's clock is {skew_told(skew)} the server's: set it right"
    return "This host's clock agrees with the server's: renew the certificate there"


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
