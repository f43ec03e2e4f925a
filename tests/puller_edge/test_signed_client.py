"""Signed requests: what the backend's own check says of them, and where they never go."""

import pytest

from desired_state.request_signature import RequestRefused, check_request
from puller.ports import Stalled, Unavailable
from puller.transport.http_client import Answer, HttpClient
from tests.puller_edge.backend import HOST, KEY, signed
from tests.puller_edge.clock import FakeClock
from tests.puller_edge.conftest import raised, with_client
from tests.puller_edge.http_server import Exchange, HttpServer, serving


def checks(clock: FakeClock, key: bytes = KEY):
    """A server that answers with who signed, as the backend checks it."""

    def respond(exchange: Exchange) -> None:
        body = exchange.body if exchange.method == "POST" else None
        try:
            host = check_request(
                exchange.method, exchange.target, exchange.headers, body, key=key, now=clock.wall.timestamp()
            )
        except RequestRefused as error:
            problem = f'{{"title": "not signed", "detail": "{error}"}}'.encode()
            exchange.answer(401, problem, {"Content-Type": "application/problem+json"})
        else:
            exchange.answer(200, host.encode())

    return respond


def get(clock: FakeClock, server: HttpServer, path: str = "/v1/x?y=1") -> Answer:
    return with_client(clock, lambda client: signed(client, server.url, clock).get(path, max_bytes=1000))


def test_get_is_signed_for_path_and_query(clock: FakeClock) -> None:
    """The backend knows who asks."""
    with serving(checks(clock)) as server:
        assert HOST.encode() == get(clock, server).body


def test_post_is_signed_with_its_body(clock: FakeClock) -> None:
    """The signature of a POST covers the digest of its body."""
    with serving(checks(clock)) as server:
        answer = with_client(
            clock, lambda client: signed(client, server.url, clock).post("/v1/x", b'{"a":1}', max_bytes=100)
        )
    assert (HOST.encode(), True) == (answer.body, "content-digest" in server.asked[0].headers)


def test_signature_of_a_get_is_used_again_for_a_while(clock: FakeClock) -> None:
    """Within two minutes a GET carries the same signature, then a new one."""

    async def three(client: HttpClient) -> list[str]:
        backend = signed(client, server.url, clock)
        for wait_s in (0, 119, 2):
            clock.advance(wait_s)
            await backend.get("/v1/x", max_bytes=100)
        return [exchange.headers["signature"] for exchange in server.asked]

    with serving(checks(clock)) as server:
        first, second, third = with_client(clock, three)
    assert (True, False) == (first == second, second == third)


def test_signature_ages_while_the_wall_clock_stands(clock: FakeClock) -> None:
    """A wall clock that was set back does not keep an old signature in use."""

    async def two(client: HttpClient) -> int:
        backend = signed(client, "https://backend.test", clock)
        made = [backend.signature("GET", "https://backend.test/x")["Signature"]]
        clock.seconds += 121
        return len({*made, backend.signature("GET", "https://backend.test/x")["Signature"]})

    assert 2 == with_client(clock, two)


def test_signature_is_made_anew_when_the_wall_clock_steps(clock: FakeClock) -> None:
    """After the clock was set right, the next request is not refused for its age."""

    async def two(client: HttpClient) -> int:
        backend = signed(client, server.url, clock)
        await backend.get("/v1/x", max_bytes=100)
        clock.wall = clock.wall.replace(year=2030)
        return (await backend.get("/v1/x", max_bytes=100)).status

    with serving(checks(clock)) as server:
        assert 200 == with_client(clock, two)


def test_signatures_of_posts_are_never_reused(clock: FakeClock) -> None:
    """Each POST has its own nonce."""

    async def two(client: HttpClient) -> None:
        backend = signed(client, server.url, clock)
        for _ in range(2):
            await backend.post("/v1/x", b"{}", max_bytes=100)

    with serving(checks(clock)) as server:
        with_client(clock, two)
    assert 2 == len({exchange.headers["signature-input"] for exchange in server.asked})


def test_kept_signatures_are_bounded(clock: FakeClock) -> None:
    """A thousand addresses do not make a thousand kept signatures."""

    async def many(client: HttpClient) -> int:
        backend = signed(client, "https://backend.test", clock)
        for number in range(1000):
            backend.signature("GET", f"https://backend.test/{number}")
        return len(backend._kept)

    assert 16 == with_client(clock, many)


@pytest.mark.parametrize(
    "url",
    ["http://backend.test/x", "https://backend.test:8443/x", "https://evil.test/x", "https://backend.test.evil.test/"],
)
def test_nothing_is_signed_for_another_origin(clock: FakeClock, url: str) -> None:
    """A signature goes to the backend's scheme, host and port, and nowhere else."""

    async def sign(client: HttpClient) -> None:
        signed(client, "https://backend.test", clock).signature("GET", url)

    assert "is not at the backend" in str(raised(Stalled, lambda: with_client(clock, sign)))


def test_signed_requests_follow_no_redirect(clock: FakeClock) -> None:
    """Whoever is redirected to gets no request, and the text says what to set."""
    with (
        serving(lambda e: e.answer(200)) as other,
        serving(lambda e: e.answer(307, headers={"Location": f"{other.url}/x?t=1"})) as server,
    ):
        error = raised(Stalled, lambda: get(clock, server, "/v1/x"))
    assert (
        f"GET {server.url}/v1/x: redirects (307) to {other.url}/x; signed requests follow none: set backend_url"
        == str(error)
    )
    assert [] == other.asked


def test_signature_that_is_refused_names_the_reason(clock: FakeClock) -> None:
    """A 401 needs a person, and tells what the backend says."""
    with serving(checks(clock, key=bytes(32))) as server:
        error = raised(Stalled, lambda: get(clock, server))
    assert "does not accept this host's signature (401)" in str(error)


def test_clock_that_is_wrong_is_named(clock: FakeClock) -> None:
    """When the backend's Date is far from our clock, the 401 says to correct the clock."""

    def respond(exchange: Exchange) -> None:
        exchange.answer(401)

    with serving(_without_own_date(respond)) as server:
        error = raised(Stalled, lambda: get(clock, server))
    assert "this host's clock is 60 minutes ahead of the backend's. Correct the clock" in str(error)


def test_forbidden_tells_the_detail_of_the_problem(clock: FakeClock) -> None:
    """A 403 needs a person, and tells the backend's words on one line."""
    body = b'{"title": "Forbidden", "detail": "the host is\\nsuspended"}'
    with serving(lambda e: e.answer(403, body)) as server:
        error = raised(Stalled, lambda: get(clock, server))
    assert str(error).endswith(f"the backend does not allow this to {HOST} (403): the host is suspended")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_busy_backend_may_pass(clock: FakeClock, status: int) -> None:
    """What may pass is unavailable, with the backend's patience."""
    with serving(lambda e: e.answer(status, headers={"Retry-After": "7"})) as server:
        error = raised(Unavailable, lambda: get(clock, server))
    assert isinstance(error, Unavailable)
    assert 7.0 == error.retry_after_s


def _without_own_date(respond):
    """The answer's only Date is the test's."""

    def quiet(exchange: Exchange) -> None:
        exchange._handler.date_time_string = lambda timestamp=None: "Mon, 23 Nov 2026 09:00:00 GMT"
        respond(exchange)

    return quiet
