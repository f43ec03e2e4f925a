"""Documents from the backend, and reports to it."""

from datetime import UTC, datetime

import msgspec
import pytest

from desired_state.report import Delivery, Heartbeat, Receipt
from puller.ports import Fetched, Stalled, Unavailable, Unchanged
from puller.sources.http import HttpSource
from puller.sources.published_tree import MAX_SOURCE_BYTES
from puller.transport.http_client import HttpClient
from puller.transport.sink import BackendSink
from tests.puller_edge.backend import HOST, signed
from tests.puller_edge.clock import FakeClock
from tests.puller_edge.conftest import raised, with_client
from tests.puller_edge.http_server import Exchange, HttpServer, serving

PROBLEM = {"Content-Type": "application/problem+json"}
DELIVERY = Delivery(
    heartbeat=Heartbeat(
        schema="towline.heartbeat/1", host=HOST, seq=3, at=datetime(2026, 11, 23, tzinfo=UTC), document_digest=""
    )
)


def fetch(clock: FakeClock, server: HttpServer, tag: str = "") -> Fetched | Unchanged:
    return with_client(clock, lambda client: HttpSource(signed(client, server.url, clock), host=HOST).fetch(tag))


def deliver(clock: FakeClock, server: HttpServer) -> Receipt:
    return with_client(
        clock, lambda client: BackendSink(signed(client, server.url, clock), host=HOST).deliver(DELIVERY)
    )


def test_document_with_its_tag_and_origin(clock: FakeClock) -> None:
    """The first fetch returns the exact bytes, the ETag, and where from."""
    with serving(lambda e: e.answer(200, b"note\n", {"ETag": '"sha256:1"'})) as server:
        fetched = fetch(clock, server)
    url = f"{server.url}/v1/hosts/{HOST}/document"
    assert Fetched(data=b"note\n", tag='"sha256:1"', origin=url) == fetched
    assert False is ("if-none-match" in server.asked[0].headers)


def test_unchanged_document(clock: FakeClock) -> None:
    """Shown its tag, the backend answers 304 and nothing is transferred."""

    def respond(exchange: Exchange) -> None:
        exchange.answer(304 if exchange.headers.get("if-none-match") == '"sha256:1"' else 200)

    with serving(respond) as server:
        assert Unchanged() == fetch(clock, server, '"sha256:1"')


def test_unasked_304_is_no_answer(clock: FakeClock) -> None:
    """A 304 to a request without a tag is some proxy's mistake, not 'unchanged'."""
    with serving(lambda e: e.answer(304)) as server:
        assert "answers 304" in str(raised(Stalled, lambda: fetch(clock, server)))


def test_no_document_for_this_host(clock: FakeClock) -> None:
    """The backend's own 404 means that it has no document."""
    with serving(lambda e: e.answer(404, b'{"title": "no document"}', PROBLEM)) as server:
        fetched = fetch(clock, server)
    assert Fetched(data=None, origin=f"{server.url}/v1/hosts/{HOST}/document") == fetched


def test_404_of_somebody_else(clock: FakeClock) -> None:
    """A web server that is not the backend does not say that there is no document."""
    with serving(lambda e: e.answer(404, b"<html>", {"Content-Type": "text/html"})) as server:
        assert "answers 404" in str(raised(Stalled, lambda: fetch(clock, server)))


def test_too_large_document_is_handed_on_cut(clock: FakeClock) -> None:
    """The acceptance refuses it by its size; memory is not filled."""
    with serving(lambda e: e.answer(200, b"x" * (MAX_SOURCE_BYTES + 5))) as server:
        fetched = fetch(clock, server)
    assert isinstance(fetched, Fetched)
    assert MAX_SOURCE_BYTES == len(fetched.data or b"")


def test_trust_file_by_version(clock: FakeClock) -> None:
    """A trust file is asked for by its version, without a signature; one that is not there is None."""

    async def both(client: HttpClient) -> tuple[bytes | None, bytes | None]:
        source = HttpSource(signed(client, server.url, clock), host=HOST)
        return await source.fetch_trust(2), await source.fetch_trust(3)

    def respond(exchange: Exchange) -> None:
        exchange.answer(200, b"trust 2") if exchange.target == "/v1/trust/2" else exchange.answer(404)

    with serving(respond) as server:
        assert (b"trust 2", None) == with_client(clock, both)
    assert {False} == {"signature" in exchange.headers for exchange in server.asked}


def test_delivery_is_received(clock: FakeClock) -> None:
    """The receipt tells what is durable; the body is the delivery."""
    with serving(lambda e: e.answer(200, b'{"accepted": [], "next_delivery_s": 30}')) as server:
        assert Receipt(accepted=(), next_delivery_s=30) == deliver(clock, server)
    assert DELIVERY == msgspec.json.decode(server.asked[0].body, type=Delivery)
    assert f"/v1/hosts/{HOST}/reports" == server.asked[0].target


@pytest.mark.parametrize("body", [b"<html>welcome</html>", b"{}", b"\xff", b"[" * 100000])
def test_200_without_receipt_proves_nothing(clock: FakeClock, body: bytes) -> None:
    """What is not a receipt leaves the outbox as it is, to be sent again."""
    with serving(lambda e: e.answer(200, body)) as server:
        assert "is no receipt" in str(raised(Unavailable, lambda: deliver(clock, server)))


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (400, Stalled, "cannot read this (400): a field is unknown"),
        (401, Stalled, "does not accept this host's signature (401)"),
        (403, Stalled, "does not allow this to web-1.example (403)"),
        (404, Stalled, "does not know this host or this address (404)"),
        (413, Stalled, "too large for the backend or a proxy (413)"),
        (418, Stalled, "answers 418"),
        (422, Stalled, "cannot read this (422)"),
        (429, Unavailable, "answers 429 Too Many Requests"),
        (503, Unavailable, "answers 503 Service Unavailable"),
    ],
)
def test_refused_delivery(clock: FakeClock, status: int, kind: type[Exception], text: str) -> None:
    """Each refusal says what happens next by its class, and what to do by its text."""
    with serving(lambda e: e.answer(status, b'{"detail": "a field is unknown"}', PROBLEM)) as server:
        assert text in str(raised(kind, lambda: deliver(clock, server)))
