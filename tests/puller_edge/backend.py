"""The signing side of a host, and the checking side of a backend, for tests."""

from puller.transport.http_client import HttpClient
from puller.transport.signed_client import SignedClient
from tests.puller_edge.clock import FakeClock

HOST = "web-1.example"
KEY = bytes(range(32))


def signed(client: HttpClient, url: str, clock: FakeClock, *, key: bytes = KEY) -> SignedClient:
    """A signed client of HOST."""
    return SignedClient(client, backend_url=url, host=HOST, key=key, clock=clock)
