"""What time a server has it, asked without believing it: only to tell a person by how much this host's clock is off.

A clock that is days off makes good certificates look expired, so the date must be had from a server whose certificate
was not checked. Nothing of this host is sent, and the answer decides nothing.
"""

import ssl
from urllib.parse import urlsplit

import httpx2

from puller.ports import Clock
from puller.transport.http_client import Answer, user_agent
from puller.transport.signed_client import clock_skew_s

DEADLINE_S = 5.0


async def unverified_skew_s(url: str, clock: Clock) -> float | None:
    """By how much this host's clock is ahead of the server's, in seconds; None when it does not say."""
    try:
        parts = urlsplit(url)
        async with httpx2.AsyncClient(
            verify=_unverified(), timeout=DEADLINE_S, headers={"User-Agent": user_agent()}
        ) as client:
            response = await client.head(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/")
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError):
        return None
    return clock_skew_s(Answer(status=response.status_code, headers={"date": response.headers.get("date", "")}), clock)


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
