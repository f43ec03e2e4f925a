"""The one HTTP client: proxies of the environment, private CAs, a deadline on everything, no surprise redirects.

Whatever goes wrong becomes `Unavailable` or `Stalled` with a text that says what was asked of whom. No text holds a
query or a password: addresses are shown by `shown`.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx2
from msgspec import Struct

from puller.authorities import none_here, openssl_has_authorities, system_ca_file
from puller.ports import Clock, Stalled, Unavailable
from puller.transport.server_date import clock_hint
from puller.version import agent_version

MAX_REDIRECTS = 5
MAX_RETRY_AFTER_S = 3600.0
"""A server that asks for more patience than this gets this much: a wrong header must not silence a host for a year."""


UNREADABLE = "an address that cannot be read"


class Deadlines(Struct, frozen=True, kw_only=True):
    """How long the phases of one request may take, in seconds. `total_s` bounds a whole exchange, drip by drip."""

    connect_s: float = 10
    read_s: float = 20
    write_s: float = 20
    total_s: float = 50


class Answer(Struct, frozen=True, kw_only=True):
    """An answer; its body is never larger than the caller allowed."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""
    is_cut: bool = False
    """The body was longer than the caller allows: this is only its beginning."""
    own_address: str = ""
    """The address that this host had in the exchange: towards the server, or the proxy. Empty when nobody knows."""


class HttpClient:
    """Asks over kept-alive connections. Close it."""

    def __init__(self, *, clock: Clock, ca_file: Path | None = None, deadlines: Deadlines | None = None) -> None:
        """`ca_file`: certificates to trust beside those of the operating system. Raises Stalled if unreadable."""
        self._clock = clock
        self._deadlines = deadlines or Deadlines()
        self._client = httpx2.AsyncClient(
            verify=tls_context(ca_file),
            timeout=httpx2.Timeout(
                connect=self._deadlines.connect_s,
                read=self._deadlines.read_s,
                write=self._deadlines.write_s,
                pool=self._deadlines.total_s,
            ),
            # Longer than a poll interval: a new TLS connection costs more than the poll.
            limits=httpx2.Limits(max_connections=8, max_keepalive_connections=4, keepalive_expiry=330),
            # Plain bytes only: a compressed answer could be small on the wire and huge in memory.
            headers={"User-Agent": user_agent(), "Accept-Encoding": "identity"},
            follow_redirects=False,
        )

    async def ask(
        self,
        method: str,
        url: str,
        *,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """One exchange, without redirects. Raises Unavailable, or Stalled for what only a person can change."""
        try:
            async with asyncio.timeout(self._deadlines.total_s):
                async with self.stream(method, url, headers=headers, body=body) as response:
                    address = _own_address(response)  # before the body: with its end the connection may go
                    content = await _read_bounded(response, max_bytes)
        except TimeoutError as error:
            raise Unavailable(f"{method} {shown(url)}: no complete answer in {self._deadlines.total_s:g} s") from error
        return Answer(
            status=response.status_code,
            headers=_lower_names(response),
            body=content[:max_bytes],
            is_cut=len(content) > max_bytes,
            own_address=address,
        )

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> AsyncIterator[httpx2.Response]:
        """One exchange whose body the caller reads; errors while reading are mapped too. The caller sets a deadline."""
        asked = f"{method} {shown(url)}"
        if shown(url) == UNREADABLE:
            raise Stalled(f"{method} {UNREADABLE}: correct the address in the settings or the document")
        try:
            async with self._client.stream(method, url, headers=headers, content=body) as response:
                _refuse_encoding(response, asked)
                yield response
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            if _is_out_of_time(error):
                raise Stalled(f"{asked}: {_cause(error)}. {await clock_hint(url, self._clock)}") from error
            raise failure(asked, error) from error

    def unavailable(self, asked: str, answer: Answer | httpx2.Response) -> Unavailable:
        """What an answer that says 'not now' becomes, with the patience that its Retry-After asks for."""
        status = answer.status if isinstance(answer, Answer) else answer.status_code
        return Unavailable(f"{asked}: answers {status}{_reason(status)}", retry_after_s=self.retry_after_s(answer))

    def retry_after_s(self, answer: Answer | httpx2.Response) -> float | None:
        """Seconds that the answer's Retry-After asks for (RFC 9110 10.2.3: seconds or a date); None without one."""
        text = answer.headers.get("retry-after", "").strip()
        if text.isdecimal():
            return min(float(text[:10]), MAX_RETRY_AFTER_S)
        try:
            seconds = (parsedate_to_datetime(text) - self._clock.now()).total_seconds()
        except (TypeError, ValueError):  # no date, or one without a zone
            return None
        return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """The operating system's certificates (`SSL_CERT_FILE` and `SSL_CERT_DIR` obeyed), and those of a private CA."""
    context = httpx2.create_ssl_context()
    beside = None if openssl_has_authorities() else system_ca_file()
    if beside is not None:
        context.load_verify_locations(cafile=beside)
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise Stalled(f"the CA file {ca_file} cannot be used: {error}. Put PEM certificates there") from error
    return context


def user_agent() -> str:
    """How the puller names itself to servers."""
    return f"towline-puller/{agent_version()}"


def shown(url: str) -> str:
    """An address for people and logs: no user, no password, no query, no fragment."""
    try:
        parts = urlsplit(url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return UNREADABLE
    return f"{parts.scheme}://{host}{port}{parts.path}"


def _own_address(response: httpx2.Response) -> str:
    """Read from the connection itself: no look-up, no packet, and right also where routes or names changed."""
    stream = response.extensions.get("network_stream")
    try:
        address = stream.get_extra_info("client_addr") if stream is not None else None
    except OSError:  # the other side has closed it already
        address = None
    return str(address[0])[:64] if isinstance(address, tuple) and address else ""


def _lower_names(response: httpx2.Response) -> dict[str, str]:
    """The headers of an answer."""
    return {name.lower(): value for name, value in response.headers.items()}


def failure(asked: str, error: Exception) -> Unavailable | Stalled:
    """What an error of the transport means: a certificate or an address needs a person, the rest may pass."""
    cause = _cause(error)
    if isinstance(error, (httpx2.InvalidURL, httpx2.UnsupportedProtocol)):
        return Stalled(f"{asked}: the address cannot be used: {cause}")
    if "CERTIFICATE_VERIFY_FAILED" in cause:
        text = f"{asked}: its certificate is not trusted ({cause}). Name its CA in `ca_file`, or renew it{none_here()}"
        return Stalled(text)
    if isinstance(error, httpx2.ProxyError):
        if "407" in cause:
            return Stalled(f"{asked}: the proxy refuses our user and password ({cause}). Correct https_proxy")
        return Unavailable(f"{asked}: the proxy answers {cause}")
    if isinstance(error, httpx2.TimeoutException):
        return Unavailable(f"{asked}: no answer in time ({type(error).__name__})")
    return Unavailable(f"{asked}: {cause}")


def _cause(error: Exception) -> str:
    return f"{error}".strip() or type(error).__name__


def _is_out_of_time(error: Exception) -> bool:
    """A certificate that has ended or not begun: by this host's clock, which may be what is wrong."""
    cause = _cause(error)
    return "CERTIFICATE_VERIFY_FAILED" in cause and ("expired" in cause or "not yet valid" in cause)


async def _read_bounded(response: httpx2.Response, max_bytes: int) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > max_bytes:
            break
    return bytes(content)


def _refuse_encoding(response: httpx2.Response, asked: str) -> None:
    encoding = response.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise Stalled(
            f"{asked}: the answer is encoded ({encoding[:40]}) though plain bytes were asked for. Turn that off"
        )


def _reason(status: int) -> str:
    text = httpx2.codes.get_reason_phrase(status)
    return f" {text}" if text else ""
