"""The poll path, in front of the router: GET /v1/hosts/{name}/document.

A fleet asks this one question over and over, and the answer is nearly always "unchanged": so it is answered before any
framework runs. What is kept in memory can be thrown away at any moment and is never believed for longer than
FRESH_S: then one small question tells whether anything was published or enrolled meanwhile, by this replica or another.
"""

import asyncio
import time
from base64 import b64decode
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import snapshot
from api.errors import TryLater
from api.repositories import polls
from api.tally import Tally
from desired_state.names import Digest
from desired_state.request_signature import RequestRefused, SharedKey, check_request, keyid_of, shared_key

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
T = TypeVar("T")
_Verified: TypeAlias = dict[bytes, tuple[str, bytes, float]]
"""Signatures that were checked: of which host, over what, and until when (seconds since 1970)."""

FRESH_S = 0.5
"""A publication is seen after at most so long, whichever replica made it."""
MAX_AGE_S = 300
"""A signature counts for so long: a host may use one for several polls."""
CONTENT_TYPE = "text/plain; charset=utf-8"
_MAX_ENTRIES = 50_000
_PREFIX, _SUFFIX = "/v1/hosts/", "/document"
_END: Message = {"type": "http.response.body", "body": b""}


class _Entry:
    """One host's answer, prepared. Made whole, then only read."""

    __slots__ = ("etag", "key", "start_200", "start_304")

    def __init__(self, key: SharedKey, digest: str | None) -> None:
        self.key = key
        self.etag = etag_of(digest) if digest else b""
        headers = [(b"etag", self.etag), (b"cache-control", b"no-cache")]
        self.start_304: Message = {"type": "http.response.start", "status": 304, "headers": headers}
        content = [(b"content-type", CONTENT_TYPE.encode()), *headers]
        self.start_200: Message = {"type": "http.response.start", "status": 200, "headers": content}


class Front:
    """An ASGI application that answers polls and hands everything else on."""

    def __init__(
        self,
        app: App,
        engine: Callable[[], AsyncEngine],
        exchange_key: Callable[[], X25519PrivateKey],
        *,
        tally: Tally | None = None,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`engine` and `exchange_key` (the backend's private key) are asked for once the application has started."""
        self._app = app
        self._engine = engine
        self._exchange_key = exchange_key
        self._tally = tally or Tally()
        self._now = now
        self._monotonic = monotonic
        self._fresh_until = 0.0
        self._stamp: polls.Stamp | None = None
        self._refreshing = asyncio.Lock()
        self._entries: dict[str, _Entry] = {}
        self._keys: dict[tuple[str, str], SharedKey] = {}
        self._verified: _Verified = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a poll here; everything else is the router's."""
        if scope["type"] == "http" and scope["method"] == "GET":
            path: str = scope["path"]
            if path.startswith(_PREFIX) and path.endswith(_SUFFIX) and path.count("/") == 4:
                await self._answer(path[10:-9], scope, send)
                return
        await self._app(scope, receive, send)

    async def _answer(self, host: str, scope: Scope, send: Send) -> None:
        try:
            start, body = await self._reply(host, scope)
        except RequestRefused as error:
            start, body = _problem(401, "Not signed in", f"this request {error}")
        except TryLater as error:
            start, body = _problem(503, "Try later", error.detail, retry_after_s=error.retry_after_s)
        self._tally.polls[start["status"]] += 1
        await send(start)
        await send(body)

    async def _reply(self, host: str, scope: Scope) -> tuple[Message, Message]:
        if self._monotonic() >= self._fresh_until:
            await self._refresh()
        # A refresh puts new dicts in place: what was read before it must not end up in those.
        entries, verified, note = self._entries, self._verified, None
        signed, tag = _headers(scope)
        entry = entries.get(host)
        if entry is None:
            entry, note = await self._load(host, entries)
        self._check(host, entry.key, scope, signed, verified)
        if entry.etag and (tag == entry.etag or (tag and matches(tag, entry.etag))):
            return entry.start_304, _END
        if note is None:
            entry, note = await self._load(host, entries)
        if note is None:
            return _problem(404, "Not found", f"nothing is published for {host}")
        return entry.start_200, {"type": "http.response.body", "body": note}

    def _check(self, host: str, key: SharedKey, scope: Scope, signed: tuple[bytes, bytes], verified: _Verified) -> None:
        """Pass when this host signed the request, lately. Checking costs a third of a poll, so it is done once."""
        given, signature = signed
        now = self._now()
        known = verified.get(signature)
        if known is not None and known[0] == host and known[1] == given and now < known[2]:
            return
        headers = {"signature-input": given.decode("latin-1"), "signature": signature.decode("latin-1")}
        if keyid_of(headers) != host:
            raise RequestRefused(f"is signed by another than {host}")
        target = scope.get("raw_path") or scope["path"].encode()
        if scope["query_string"]:
            target += b"?" + scope["query_string"]
        check_request("GET", target.decode("latin-1"), headers, None, key=key, now=now, max_age_s=MAX_AGE_S)
        created = float(given.split(b";created=", 1)[1].split(b";", 1)[0])
        _put(verified, signature, (host, given, created + MAX_AGE_S))

    async def _refresh(self) -> None:
        """Forget everything when anything changed. Only one request asks; the others wait for its answer."""
        async with self._refreshing:
            if self._monotonic() < self._fresh_until:
                return
            asked_at = self._monotonic()
            async with snapshot(self._engine()) as connection:
                stamp = await polls.stamp(connection)
            if stamp != self._stamp:
                self._entries, self._verified = {}, {}
                self._stamp = stamp
            self._fresh_until = asked_at + FRESH_S

    async def _load(self, host: str, entries: dict[str, _Entry]) -> tuple[_Entry, bytes | None]:
        """A host's answer from the database. Raises RequestRefused for a host that is not enrolled."""
        async with snapshot(self._engine()) as connection:
            found = await polls.poll(connection, host)
        if found.sealing_key is None:
            raise RequestRefused(f"claims to be of {host[:128]!r}, which is not enrolled")
        entry = _Entry(self._key(host, found.sealing_key), found.digest)
        _put(entries, host, entry)
        return entry, found.note

    def _key(self, host: str, sealing_key: str) -> SharedKey:
        key = self._keys.get((host, sealing_key))
        if key is None:
            key = shared_key(self._exchange_key(), X25519PublicKey.from_public_bytes(b64decode(sealing_key)), host)
            _put(self._keys, (host, sealing_key), key)
        return key


def _headers(scope: Scope) -> tuple[tuple[bytes, bytes], bytes]:
    """Signature-Input and Signature, and If-None-Match; empty where one is missing."""
    given = signature = tag = b""
    for name, value in scope["headers"]:
        if name == b"signature-input":
            given = value
        elif name == b"signature":
            signature = value
        elif name == b"if-none-match":
            tag = value
    return (given, signature), tag


def _put(cache: dict[Any, T], key: object, value: T) -> None:
    """Keep the value; the oldest goes when there are too many."""
    if len(cache) >= _MAX_ENTRIES:
        del cache[next(iter(cache))]
    cache[key] = value


def etag_of(digest: Digest) -> bytes:
    """The strong tag of a document."""
    return b'"%s"' % digest.encode()


def matches(given: bytes, etag: bytes) -> bool:
    """If-None-Match by RFC 9110, 13.1.2: a list of tags, weak ones too, or any."""
    return given.strip() == b"*" or etag in [one.strip().removeprefix(b"W/") for one in given.split(b",")]


def _problem(status: int, title: str, detail: str, *, retry_after_s: int = 0) -> tuple[Message, Message]:
    """A problem by RFC 9457."""
    body = msgspec.json.encode({"type": "about:blank", "title": title, "status": status, "detail": detail})
    headers = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]
    if retry_after_s:
        headers.append((b"retry-after", str(retry_after_s).encode()))
    if status == 401:
        headers.append((b"www-authenticate", b"Signature"))
    return {"type": "http.response.start", "status": status, "headers": headers}, {
        "type": "http.response.body",
        "body": body,
    }
