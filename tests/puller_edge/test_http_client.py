"""The HTTP client: deadlines, bounds, certificates, proxies, and errors that say what was asked of whom."""

import socket
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.ports import Stalled, Unavailable
from puller.transport.http_client import Deadlines, HttpClient, shown
from tests.puller_edge.certificates import Authority
from tests.puller_edge.clock import FakeClock
from tests.puller_edge.conftest import raised, with_client
from tests.puller_edge.http_server import Exchange, HttpServer, serving

NOW = Deadlines(connect_s=0.3, read_s=0.3, write_s=0.3, total_s=0.6)


def get(clock: FakeClock, url: str, *, max_bytes: int = 100, ca_file: Path | None = None, deadlines: Deadlines = NOW):
    return with_client(
        clock, lambda client: client.ask("GET", url, max_bytes=max_bytes), ca_file=ca_file, deadlines=deadlines
    )


def test_answer_is_returned_with_lower_case_header_names(clock: FakeClock) -> None:
    """An answer has its status, its headers and its body."""
    with serving(lambda exchange: exchange.answer(200, b"hello", {"X-Thing": "yes"})) as server:
        answer = get(clock, server.url)
    assert (200, b"hello", "yes", False) == (answer.status, answer.body, answer.headers["x-thing"], answer.is_cut)


def test_own_address_is_that_of_the_connection(clock: FakeClock) -> None:
    """An answer tells which address this host had in the exchange."""
    with serving(lambda exchange: exchange.answer(200, b"hello")) as server:
        assert "127.0.0.1" == get(clock, server.url).own_address


def test_longer_body_is_cut(clock: FakeClock) -> None:
    """A body beyond the bound is not read to its end, and the answer says so."""

    def endless(exchange: Exchange) -> None:
        exchange.begin(200, {"Content-Length": "1000000000000"})
        while not server.ending.is_set():
            exchange.write(b"x" * 65536)

    with serving(endless) as server:
        answer = get(clock, server.url, max_bytes=1000)
    assert (b"x" * 1000, True) == (answer.body, answer.is_cut)


def test_connection_is_kept(clock: FakeClock) -> None:
    """Ten requests need one connection."""

    async def ten(client: HttpClient) -> None:
        for _ in range(10):
            await client.ask("GET", server.url, max_bytes=10)

    with serving(lambda exchange: exchange.answer(200, b"x")) as server:
        with_client(clock, ten)
    assert 1 == server.connections


def test_server_that_never_answers(clock: FakeClock) -> None:
    """A server that takes the request and is silent is unavailable at the read deadline."""
    with serving(lambda exchange: server.ending.wait(30) and None) as server:
        error = raised(Unavailable, lambda: get(clock, f"{server.url}/path?secret=1"))
    assert f"GET {server.url}/path: no answer in time (ReadTimeout)" == str(error)


def test_server_that_never_accepts(clock: FakeClock) -> None:
    """A listener that completes no TLS handshake is unavailable at the connect deadline."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        error = raised(Unavailable, lambda: get(clock, url))
    assert f"GET {url}: no answer in time (ConnectTimeout)" == str(error)


def test_body_that_drips_ends_at_the_total_deadline(clock: FakeClock) -> None:
    """A byte now and then keeps every read deadline happy: the total deadline ends it."""

    def drip(exchange: Exchange) -> None:
        exchange.begin(200, {"Content-Length": "1000"})
        while not server.ending.wait(0.05):
            exchange.write(b"x")

    with serving(drip) as server:
        error = raised(Unavailable, lambda: get(clock, server.url))
    assert f"GET {server.url}: no complete answer in 0.6 s" == str(error)


def test_headers_that_drip_end_at_the_total_deadline(clock: FakeClock) -> None:
    """So does a header that never ends."""

    def drip(exchange: Exchange) -> None:
        exchange.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not server.ending.wait(0.05):
            exchange.write(b"x")

    with serving(drip) as server:
        error = raised(Unavailable, lambda: get(clock, server.url))
    assert f"GET {server.url}: no complete answer in 0.6 s" == str(error)


def test_connection_cut_inside_the_body(clock: FakeClock) -> None:
    """A body shorter than its Content-Length is no answer."""

    def cut(exchange: Exchange) -> None:
        exchange.begin(200, {"Content-Length": "10"})
        exchange.write(b"half")
        exchange.cut()

    with serving(cut) as server:
        error = raised(Unavailable, lambda: get(clock, server.url))
    assert str(error).startswith(f"GET {server.url}: ")


def test_nobody_listens(clock: FakeClock) -> None:
    """A refused connection is unavailable, and the text says whom we asked."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        error = raised(Unavailable, lambda: get(clock, f"{url}/x"))
    assert f"GET {url}/x: All connection attempts failed" == str(error)


def test_redirect_is_an_answer_like_any_other(clock: FakeClock) -> None:
    """No redirect is followed behind the caller's back."""
    with serving(lambda exchange: exchange.answer(302, headers={"Location": "/elsewhere"})) as server:
        answer = get(clock, server.url)
    assert (302, 1) == (answer.status, len(server.asked))


def test_encoded_body_is_refused(clock: FakeClock) -> None:
    """A compressed body could be a bomb: plain bytes were asked for, and nothing else is read."""
    with serving(lambda exchange: exchange.answer(200, b"zip", {"Content-Encoding": "gzip"})) as server:
        error = raised(Stalled, lambda: get(clock, server.url))
    assert "identity" == server.asked[0].headers["accept-encoding"]
    assert "is encoded (gzip)" in str(error)


def test_private_ca_is_trusted_when_named(clock: FakeClock, authority: Authority) -> None:
    """With `ca_file`, a server of that CA is asked."""
    with serving(lambda exchange: exchange.answer(200, b"ok"), authority.server_tls()) as server:
        answer = get(clock, server.url, ca_file=authority.ca_file)
    assert b"ok" == answer.body


@pytest.mark.parametrize("named", [False, True], ids=["no CA", "another CA"])
def test_unknown_ca_is_refused(clock: FakeClock, authority: Authority, tmp_path: Path, named: bool) -> None:
    """A certificate of a CA that is not trusted needs a person, and no request leaves."""
    ca_file = Authority(tmp_path / "other", "Other CA").ca_file if named else None
    with serving(lambda exchange: exchange.answer(200, b"ok"), authority.server_tls()) as server:
        error = raised(Stalled, lambda: get(clock, server.url, ca_file=ca_file))
    assert "its certificate is not trusted" in str(error)
    assert [] == server.asked


def test_ca_file_that_is_none(clock: FakeClock, tmp_path: Path) -> None:
    """A CA file that holds no certificate is named."""
    (tmp_path / "ca.pem").write_text("nothing")
    error = raised(Stalled, lambda: get(clock, "http://127.0.0.1:1", ca_file=tmp_path / "ca.pem"))
    assert str(tmp_path / "ca.pem") in str(error)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("Mon, 23 Nov 2026 10:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 09:00:00 GMT", 0.0),
        ("99999999999999", 3600.0),
        ("soon", None),
        ("", None),
        ("-5", None),
    ],
)
def test_retry_after(clock: FakeClock, header: str, seconds: float | None) -> None:
    """Retry-After is read as seconds or a date, and never asks for more than an hour."""

    async def ask(client: HttpClient) -> Unavailable:
        return client.unavailable("GET x", await client.ask("GET", server.url, max_bytes=10))

    with serving(lambda exchange: exchange.answer(503, headers={"Retry-After": header})) as server:
        error = with_client(clock, ask)
    assert (seconds, "GET x: answers 503 Service Unavailable") == (error.retry_after_s, str(error))


@pytest.fixture
def proxy() -> Iterator[HttpServer]:
    """A proxy for plain HTTP that lets only one user through."""

    def respond(exchange: Exchange) -> None:
        wanted = f"Basic {b64encode(b'user:right').decode()}"
        if exchange.headers.get("proxy-authorization") != wanted:
            exchange.answer(407, headers={"Proxy-Authenticate": "Basic"})
        else:
            exchange.answer(200, f"by proxy {exchange.target}".encode())

    with serving(respond) as server:
        yield server


def test_proxy_of_the_environment(clock: FakeClock, proxy: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """`http_proxy` with user and password is used."""
    monkeypatch.setenv("http_proxy", proxy.url.replace("//", "//user:right@"))
    assert b"by proxy http://backend.test/x" == get(clock, "http://backend.test/x").body


def test_no_proxy_of_the_environment(clock: FakeClock, proxy: HttpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name in `no_proxy` is asked directly."""
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(lambda exchange: exchange.answer(200, b"direct")) as server:
        assert b"direct" == get(clock, server.url).body


def test_proxy_that_refuses_a_tunnel(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that wants another password needs a person."""

    def respond(exchange: Exchange) -> None:
        exchange.answer(407, headers={"Proxy-Authenticate": "Basic"})

    with serving(respond) as server:
        monkeypatch.setenv("https_proxy", server.url.replace("//", "//user:wrong@"))
        error = raised(Stalled, lambda: get(clock, "https://backend.test/x"))
    assert (
        "GET https://backend.test/x: the proxy refuses our user and password (407 Proxy Authentication Required). "
        "Correct https_proxy"
    ) == str(error)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://user:secret@git.test:8443/a/b?token=1#x", "https://git.test:8443/a/b"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("https://host/", "https://host/"),
        ("http://[broken", "an address that cannot be read"),
    ],
)
def test_shown_holds_no_secret(url: str, text: str) -> None:
    """Addresses are shown without user, password, query and fragment."""
    assert text == shown(url)


@pytest.mark.parametrize("url", ["", "ftp://x/", "http://[::1", "http://127.0.0.1:99999/", "http:///x", "http://x/\0"])
def test_bad_address_needs_a_person(clock: FakeClock, url: str) -> None:
    """Waiting does not mend an address."""
    assert "address" in str(raised(Stalled, lambda: get(clock, url)))
