"""Packages and bundles, kept by content: nothing stands under its final name that is not verified."""

import asyncio
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import structlog

from desired_state.document import Artifact
from desired_state.names import Digest
from puller.durable_file import sync_folder
from puller.ports import Stalled, Unavailable
from puller.transport.download import Download, DownloadLimits, copy_bounded, file_digest
from puller.transport.http_client import HttpClient
from puller.transport.signed_client import SignedClient

LOCK_POLL_S = 0.1
RESERVE_BYTES = 64 << 20
"""Free space that a download leaves for others."""

_log = structlog.get_logger("towline.artifacts")


class ArtifactStore:
    """The folder `artifacts/`: `sha256/<hex>` complete and verified, `parts/<hex>` on the way."""

    def __init__(
        self,
        folder: Path,
        client: HttpClient,
        *,
        signed: SignedClient | None = None,
        local_folders: Sequence[Path] = (),
        limits: DownloadLimits | None = None,
        reserve_bytes: int = RESERVE_BYTES,
    ) -> None:
        """`local_folders`: where files may lie already (an image, a mount), by digest or by file name."""
        self._complete = folder / "sha256"
        self._parts = folder / "parts"
        self._local_folders = tuple(local_folders)
        self._download = Download(client, signed, limits or DownloadLimits())
        self._reserve_bytes = reserve_bytes
        self._locks: dict[Digest, asyncio.Lock] = {}
        self._verified: dict[Digest, tuple[int, ...]] = {}

    def path_of(self, digest: Digest) -> Path:
        """Where the artifact of that digest lies once it is here."""
        return self._complete / _hex(digest)

    async def ensure(self, artifact: Artifact, bases: Sequence[str]) -> Path:
        """Path of the complete, verified file; see ports.Artifacts. Two that want one file share a fetch."""
        path = self.path_of(artifact.digest)
        try:
            async with self._locks.setdefault(artifact.digest, asyncio.Lock()):
                if not await asyncio.to_thread(self._is_here, artifact, path):
                    await self._fetch_alone(artifact, bases, path)
        except OSError as error:
            raise Unavailable(f"{artifact.file} cannot be kept in {path.parent}: {error.strerror or error}") from error
        return path

    async def _fetch_alone(self, artifact: Artifact, bases: Sequence[str], path: Path) -> None:
        """Brings the file, unless another process of this host (`once`, `plan`) has brought it meanwhile."""
        await asyncio.to_thread(self._make_folders)
        async with self._lock_out_others(artifact):
            if await asyncio.to_thread(self._is_here, artifact, path):
                return
            await asyncio.to_thread(self._check_room, artifact)
            await self._bring(artifact, bases)
            await asyncio.to_thread(self._keep, artifact, path)
            _log.info("artifact kept", file=artifact.file, digest=artifact.digest, size=artifact.size)

    @asynccontextmanager
    async def _lock_out_others(self, artifact: Artifact) -> AsyncIterator[None]:
        """Two processes must not write one part file. The lock dies with its holder."""
        descriptor = os.open(
            self._parts / f"{_hex(artifact.digest)}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            while not _locked(descriptor):  # noqa: ASYNC110 - another process can set no event of ours
                await asyncio.sleep(LOCK_POLL_S)
            yield
        finally:
            os.close(descriptor)

    async def _bring(self, artifact: Artifact, bases: Sequence[str]) -> None:
        """Fills the part file with the verified content, from the first place that has it."""
        part = self._parts / _hex(artifact.digest)
        failures: list[Unavailable | Stalled] = []
        for place in places(artifact, bases, self._local_folders):
            try:
                if isinstance(place, Path):
                    await asyncio.to_thread(copy_bounded, place, part, artifact)
                else:
                    await self._download.fetch(place, part, artifact)
            except FileNotFoundError:
                continue  # a local folder that does not have it is no news
            except (Unavailable, Stalled) as failure:
                _log.warning("artifact not fetched", file=artifact.file, digest=artifact.digest, reason=str(failure))
                failures.append(failure)
            else:
                return
        raise _nowhere(artifact, failures)

    def _is_here(self, artifact: Artifact, path: Path) -> bool:
        """Whether the file is complete and true: read whole once per process, then by its stat."""
        try:
            facts = path.stat()
        except FileNotFoundError:
            return False
        marks = (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
        if self._verified.get(artifact.digest) == marks:
            return True
        if facts.st_size != artifact.size or file_digest(path) != artifact.digest:
            _log.warning("artifact damaged on disk, fetched again", file=artifact.file, digest=artifact.digest)
            path.unlink(missing_ok=True)
            return False
        self._verified[artifact.digest] = marks
        return True

    def _make_folders(self) -> None:
        self._complete.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._parts.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _check_room(self, artifact: Artifact) -> None:
        part = self._parts / _hex(artifact.digest)
        have = part.stat().st_size if part.exists() else 0
        need = artifact.size - min(have, artifact.size) + self._reserve_bytes
        free = shutil.disk_usage(self._parts).free
        if need > free:
            raise Unavailable(
                f"{artifact.file} needs {need} bytes in {self._parts} (with {self._reserve_bytes} left for others),"
                f" {free} are free: make room"
            )

    def _keep(self, artifact: Artifact, path: Path) -> None:
        part = self._parts / _hex(artifact.digest)
        part.chmod(0o444)
        descriptor = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        part.replace(path)
        sync_folder(path.parent)
        facts = path.stat()
        self._verified[artifact.digest] = (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)

    def sweep(self, used: Collection[Digest], *, keep_bytes: int) -> int:
        """Removes what no document uses, oldest first, until at most `keep_bytes` of it are left; and unused parts.

        Returns the bytes freed. Call it when nothing is being fetched or unpacked.
        """
        names = {_hex(digest) for digest in used}
        names |= {f"{name}.lock" for name in names}
        freed = sum(_remove(path) for path in _files(self._parts) if path.name not in names)
        unused = sorted((path for path in _files(self._complete) if path.name not in names), key=_age)
        surplus = sum(_size(path) for path in unused) - keep_bytes
        for path in unused:
            if surplus <= 0:
                break
            size = _remove(path)
            surplus -= size
            freed += size
        if freed:
            _log.info("unused artifacts removed", bytes=freed)
        return freed


def places(artifact: Artifact, bases: Sequence[str], local_folders: Sequence[Path]) -> Iterator[Path | str]:
    """Where a file may be had, nearest first: local folders, its own addresses, then the bases by digest."""
    for folder in local_folders:
        yield folder / _hex(artifact.digest)
        yield folder / "sha256" / _hex(artifact.digest)
        yield folder / artifact.file
    for url in (*artifact.urls, *(f"{base.rstrip('/')}/sha256/{_hex(artifact.digest)}" for base in bases)):
        parts = urlsplit(url)
        yield Path(unquote(parts.path)) if parts.scheme == "file" else url


def _nowhere(artifact: Artifact, failures: Sequence[Unavailable | Stalled]) -> Unavailable | Stalled:
    name = f"{artifact.file} ({artifact.digest[:19]}…)"
    if not failures:
        return Stalled(f"{name} is not here, and nobody says where it can be had: give it a URL or an artifact base")
    told = f"{name} cannot be had: " + "; ".join(str(failure) for failure in failures)[:1600]
    waits = [failure for failure in failures if isinstance(failure, Unavailable)]
    if not waits:
        return Stalled(told)
    patience = [failure.retry_after_s for failure in waits if failure.retry_after_s is not None]
    return Unavailable(told, retry_after_s=min(patience) if len(patience) == len(waits) else None)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _hex(digest: Digest) -> str:
    return digest.removeprefix("sha256:")


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _age(path: Path) -> float:
    """When it was written; a file that another process has removed meanwhile is the oldest of all."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _remove(path: Path) -> int:
    size = _size(path)
    path.unlink(missing_ok=True)
    return size
