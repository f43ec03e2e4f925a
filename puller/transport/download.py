"""One file over HTTP into a part file: resumed where it was cut, bounded in size and slowness, verified whole."""

import asyncio
import os
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

import httpx2
import structlog
from msgspec import Struct

from desired_state.document import Artifact
from desired_state.names import Digest
from puller.ports import Stalled, Unavailable
from puller.transport.http_client import MAX_REDIRECTS, HttpClient, shown
from puller.transport.signed_client import SignedClient

_log = structlog.get_logger("towline.artifacts")


class DownloadLimits(Struct, frozen=True, kw_only=True):
    """When a download is given up for now: in every window of `window_s` seconds `window_bytes` must arrive."""

    window_s: float = 30
    window_bytes: int = 16 << 10
    attempts: int = 3
    """How often a cut download is taken up again at once, as long as each brings it further."""


class WrongContent(Stalled):
    """A place offers something else under this name. It is never used; asking there again does not help."""


class Download:
    """Fetches over HTTP. Requests to the backend's own origin are signed, all others carry nothing of this host."""

    def __init__(self, client: HttpClient, signed: SignedClient | None, limits: DownloadLimits) -> None:
        self._client = client
        self._signed = signed
        self._limits = limits

    async def fetch(self, url: str, part: Path, artifact: Artifact) -> None:
        """Fills `part` with the verified file. What arrived stays there for next time. Raises Unavailable, Stalled."""
        if _size(part) > artifact.size:
            await asyncio.to_thread(part.unlink)
        had = _size(part)
        await self._complete(url, part, artifact)
        if await _is_true(part, artifact):
            return
        await asyncio.to_thread(part.unlink, missing_ok=True)
        if had:  # what lay in the part file may have been the wrong half, from another place: once more from the start
            await self._complete(url, part, artifact)
            if await _is_true(part, artifact):
                return
            await asyncio.to_thread(part.unlink, missing_ok=True)
        raise WrongContent(
            f"GET {shown(url)}: its content is not {artifact.digest}; it is not used. Publish the right file"
        )

    async def _complete(self, url: str, part: Path, artifact: Artifact) -> None:
        """Until the part file has its full size; taken up again at once while each attempt brings more."""
        for attempt in range(self._limits.attempts):
            before = _size(part)
            if before == artifact.size:
                return
            try:
                await self._once(url, part, artifact)
            except Unavailable:
                if attempt + 1 == self._limits.attempts or _size(part) <= before:
                    raise
                _log.info("download resumed", file=artifact.file, at=_size(part), size=artifact.size, url=shown(url))
            else:
                return

    async def _once(self, url: str, part: Path, artifact: Artifact, redirects: int = 0) -> None:
        asked = f"GET {shown(url)}"
        offset = min(_size(part), artifact.size)
        try:
            async with (
                asyncio.timeout(self._limits.window_s) as deadline,
                self._client.stream("GET", url, headers=self._headers(url, offset)) as response,
            ):
                place = redirect(response, url, self._signed is not None and self._signed.owns(url), redirects)
                if place is None:
                    start = self._start(response, asked, artifact, offset)
                    with open_part(part, start) as file:
                        await self._receive(response, file, artifact, start, deadline)
                    return
        except TimeoutError as error:
            limits = self._limits
            raise Unavailable(
                f"{asked}: less than {limits.window_bytes} bytes came in {limits.window_s:g} s; {_size(part)} of"
                f" {artifact.size} are here"
            ) from error
        await self._once(place, part, artifact, redirects + 1)

    def _headers(self, url: str, offset: int) -> dict[str, str]:
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        if self._signed is not None and self._signed.owns(url):
            headers |= self._signed.signature("GET", url)
        return headers

    def _start(self, response: httpx2.Response, asked: str, artifact: Artifact, offset: int) -> int:
        """Where in the file the coming bytes belong. Raises for answers that bring none."""
        status = response.status_code
        if status == 206 and offset:
            return _range_start(response.headers, asked, artifact, offset)
        if status == 200:
            length = response.headers.get("content-length", "")
            if length.isdecimal() and int(length) != artifact.size:
                raise WrongContent(f"{asked}: has {length} bytes, the document says {artifact.size}; it is not used")
            return 0
        if status in (408, 425, 429) or status >= 500:
            raise self._client.unavailable(asked, response)
        if status in (404, 410):  # it may be on its way there
            raise Unavailable(f"{asked}: is not there ({status})")
        raise Stalled(f"{asked}: answers {status}; the file cannot be had there")

    async def _receive(
        self, response: httpx2.Response, file: BinaryIO, artifact: Artifact, start: int, deadline: asyncio.Timeout
    ) -> None:
        arrived, in_window = start, 0
        async for chunk in response.aiter_raw():
            arrived += len(chunk)
            if arrived > artifact.size:
                raise WrongContent(f"{shown(str(response.url))}: is longer than {artifact.size} bytes; it is not used")
            _write(file, chunk, artifact)
            in_window += len(chunk)
            if in_window >= self._limits.window_bytes:
                deadline.reschedule(asyncio.get_running_loop().time() + self._limits.window_s)
                in_window = 0
        if arrived < artifact.size:
            raise Unavailable(f"GET {shown(str(response.url))}: was cut after {arrived} of {artifact.size} bytes")


def redirect(response: httpx2.Response, url: str, is_signed: bool, redirects: int) -> str | None:
    """Where to ask instead, or None. A signed request is never sent elsewhere, and https never becomes http."""
    if response.status_code not in (301, 302, 303, 307, 308):
        return None
    place = urljoin(url, response.headers.get("location", ""))
    told = f"GET {shown(url)}: redirects to {shown(place)}"
    if is_signed:
        raise Stalled(f"{told}; signed requests follow none: set backend_url to where the backend is")
    if redirects >= MAX_REDIRECTS:
        raise Stalled(f"{told}: more than {MAX_REDIRECTS} redirects")
    if urlsplit(place).scheme != "https" and (urlsplit(url).scheme == "https" or urlsplit(place).scheme != "http"):
        raise Stalled(f"{told}; that is refused: not https any more")
    return place


def copy_bounded(origin: Path, part: Path, artifact: Artifact) -> None:
    """Fills `part` with the verified content of a local file. Raises FileNotFoundError, Unavailable or WrongContent."""
    digest = sha256()
    try:
        with origin.open("rb") as source:
            if os.fstat(source.fileno()).st_size != artifact.size:
                raise WrongContent(f"{origin}: is not {artifact.size} bytes long; it is not used")
            with open_part(part, 0) as file:
                while chunk := source.read(1 << 20):
                    digest.update(chunk)
                    _write(file, chunk, artifact)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(origin) from error
    except OSError as error:
        raise Unavailable(f"{origin}: cannot be read ({error.strerror})") from error
    if f"sha256:{digest.hexdigest()}" != artifact.digest:
        part.unlink(missing_ok=True)
        raise WrongContent(f"{origin}: its content is not {artifact.digest}; it is not used")


def open_part(part: Path, start: int) -> BinaryIO:
    """The part file, open for writing at `start`; what lay behind it is gone. Raises Unavailable when it cannot be."""
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        os.ftruncate(descriptor, start)
        os.lseek(descriptor, start, os.SEEK_SET)
    except OSError as error:
        raise Unavailable(f"{part} cannot be written: {error.strerror}") from error
    return os.fdopen(descriptor, "wb", buffering=0)


def _range_start(headers: Mapping[str, str], asked: str, artifact: Artifact, offset: int) -> int:
    given = headers.get("content-range", "")
    if given.replace(f"/{artifact.size}", "/*") == f"bytes {offset}-{artifact.size - 1}/*":
        return offset
    raise WrongContent(f"{asked}: answers with the range {given[:60]!r}, asked for from {offset} of {artifact.size}")


def _write(file: BinaryIO, chunk: bytes, artifact: Artifact) -> None:
    view = memoryview(chunk)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError as error:  # a full disk: what is written stays, and is taken up when there is room
        raise Unavailable(f"{artifact.file} cannot be written to disk: {error.strerror}") from error


async def _is_true(part: Path, artifact: Artifact) -> bool:
    return await asyncio.to_thread(file_digest, part) == artifact.digest


def file_digest(path: Path) -> Digest:
    """The digest of a file's bytes. Raises OSError."""
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
