"""Requests that carry this host's signature (RFC 9421, hmac-sha256), to the backend's own origin and nowhere else.

The key is derived on both sides and never sent. A signature of a GET is used again for a few minutes: it proves who
asks, a GET may be repeated anyway, and checking a known one costs the backend next to nothing.
"""

import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from desired_state.request_signature import sign_request
from puller.ports import Clock, Stalled
from puller.transport.http_client import Answer, HttpClient, shown
from puller.transport.server_date import TOLERATED_S, skew_s, skew_told

REUSE_S = 120
"""How long a GET's signature is used again; the backend takes them for 300 s, so clocks may differ by the rest."""
_MAX_KEPT = 16


class _Signed(Struct, frozen=True, kw_only=True):
    headers: dict[str, str]
    made_at: float
    """Seconds of the monotonic clock."""
    created: int


class SignedClient:
    """The backend, as this host asks it. `key`: what `desired_state.request_signature.shared_key` derived."""

    def __init__(self, client: HttpClient, *, backend_url: str, host: str, key: bytes, clock: Clock) -> None:
        self.http = client
        self._base = backend_url.rstrip("/")
        self._host = host
        self._key = key
        self._clock = clock
        self._kept: dict[tuple[str, str], _Signed] = {}
        self.own_address = ""
        """This host's own address in its last exchange with the backend, or with the proxy before it."""

    def use_key(self, key: bytes) -> None:
        """From now on signs with this key: the trust file names another exchange key of the backend."""
        self._key = key
        self._kept.clear()

    def address(self, path: str) -> str:
        """The full address of a path of the backend."""
        return self._base + path

    def owns(self, url: str) -> bool:
        """Whether an address is the backend's own origin: only there does a signature go."""
        try:
            return _origin(url) == _origin(self._base)
        except ValueError:
            return False

    def signature(self, method: str, url: str, body: bytes | None = None) -> dict[str, str]:
        """The headers that sign this request. Raises Stalled for an address that is not the backend's."""
        if not self.owns(url):
            raise Stalled(
                f"{method} {shown(url)} is not at the backend {shown(self._base)}: requests are signed for it only"
            )
        target = _target(url)
        if body is not None:
            return self._sign(method, target, body, int(self._clock.now().timestamp()))
        return self._kept_signature(method, target)

    async def get(self, path: str, *, max_bytes: int, headers: Mapping[str, str] | None = None) -> Answer:
        """A signed GET. Raises Unavailable or Stalled; an answer that redirects or refuses this host is Stalled."""
        url = self.address(path)
        answer = await self.http.ask(
            "GET", url, max_bytes=max_bytes, headers={**(headers or {}), **self.signature("GET", url)}
        )
        self.own_address = answer.own_address or self.own_address
        self.refuse(answer, f"GET {shown(url)}")
        return answer

    async def post(self, path: str, body: bytes, *, max_bytes: int) -> Answer:
        """A signed POST of JSON; the signature covers its digest. Raises as `get` does."""
        url = self.address(path)
        headers = {"Content-Type": "application/json", **self.signature("POST", url, body)}
        answer = await self.http.ask("POST", url, max_bytes=max_bytes, headers=headers, body=body)
        self.own_address = answer.own_address or self.own_address
        self.refuse(answer, f"POST {shown(url)}")
        return answer

    def refuse(self, answer: Answer, asked: str) -> None:
        """Raises for the answers that mean the same everywhere: not now, not you, not here."""
        if answer.status in (408, 425, 429) or answer.status >= 500:
            raise self.http.unavailable(asked, answer)
        if answer.status == 401:
            self._kept.clear()
            raise Stalled(f"{asked}: the backend does not accept this host's signature (401){self._clock_hint(answer)}")
        if answer.status == 403:
            raise Stalled(f"{asked}: the backend does not allow this to {self._host} (403): {detail(answer)}")
        if 300 <= answer.status < 400 and answer.status != 304:
            place = shown(answer.headers.get("location", ""))
            raise Stalled(
                f"{asked}: redirects ({answer.status}) to {place}; signed requests follow none: set backend_url"
            )

    def _kept_signature(self, method: str, target: str) -> dict[str, str]:
        now, created = self._clock.monotonic(), int(self._clock.now().timestamp())
        kept = self._kept.get((method, target))
        # Age by both clocks: the monotonic one rules, but after a step of the wall clock `created` would be refused.
        if kept is None or now - kept.made_at > REUSE_S or abs(created - kept.created) > REUSE_S:
            kept = _Signed(headers=self._sign(method, target, None, created), made_at=now, created=created)
            while len(self._kept) >= _MAX_KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[(method, target)] = kept
        return kept.headers

    def _sign(self, method: str, target: str, body: bytes | None, created: int) -> dict[str, str]:
        return sign_request(
            method,
            target,
            body,
            keyid=self._host,
            key=self._key,
            alg="hmac-sha256",
            created=created,
            nonce=secrets.token_urlsafe(12),
        )

    def _clock_hint(self, answer: Answer) -> str:
        skew = clock_skew_s(answer, self._clock)
        if skew is not None and abs(skew) > TOLERATED_S:
            return f": this host's clock is {skew_told(skew)} the backend's. Correct the clock"
        return f": {detail(answer)}. If the host was deleted or enrolled elsewhere, enrol it again"


def clock_skew_s(answer: Answer, clock: Clock) -> float | None:
    """By how much this host's wall clock is ahead of the server's, in seconds; None when the answer has no date."""
    return skew_s(answer.headers.get("date", ""), clock)


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return parts.scheme, (parts.hostname or "").lower(), port


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def detail(answer: Answer) -> str:
    """What the backend says in its problem details (RFC 9457), on one line, at most 300 characters."""
    try:
        problem = msgspec.json.decode(answer.body, type=_Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "no reason given"
    return " ".join((problem.detail or problem.title).split())[:300] or "no reason given"


class _Problem(Struct, frozen=True, kw_only=True):
    title: str = ""
    detail: str = ""
