"""Files that hosts fetch by digest: found in the store, or in the database for bundles."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import snapshot, transaction
from api.errors import NotFound
from api.moments import micros
from api.publish.artifacts import ArtifactStore
from api.publish.ranges import Span
from api.repositories import artifacts, publications
from desired_state.catalogue import PackageEntry
from desired_state.names import DIGEST_PATTERN, Digest, is_name

_CHUNK = 256 << 10


async def find(engine: AsyncEngine, store: ArtifactStore, digest: Digest) -> Path:
    """The file with those bytes. Raises NotFound.

    A bundle may have been published by another replica, or by another version of towline: its bytes are in the
    database, and are put beside the others the first time that somebody asks.
    """
    if not is_name(DIGEST_PATTERN, digest):
        raise NotFound("an artifact is asked for by the 64 hex digits of its sha256")
    path = await asyncio.to_thread(store.find, digest)
    if path is not None:
        return path
    async with snapshot(engine) as connection:
        data = await publications.bundle_data(connection, digest)
    if data is None:
        raise NotFound(f"{digest} is not here: was it added with `towline package add`?")
    await asyncio.to_thread(store.put, [data], expected=digest)
    return store.path_of(digest)


async def read_span(content: Path | bytes, span: Span) -> AsyncIterator[bytes]:
    """Those bytes of a file, bit by bit: a slow host holds a quarter of a megabyte, not a package."""
    if isinstance(content, bytes):
        yield content[span.first : span.last + 1]
        return
    path = content
    file = await asyncio.to_thread(path.open, "rb")
    try:
        await asyncio.to_thread(file.seek, span.first)
        left = span.length
        while left:
            chunk = await asyncio.to_thread(file.read, min(_CHUNK, left))
            if not chunk:
                raise OSError(f"{path} is shorter than it was")
            left -= len(chunk)
            yield chunk
    finally:
        await asyncio.to_thread(file.close)


async def keep_package(
    engine: AsyncEngine, store: ArtifactStore, chunks: Iterable[bytes], entry: PackageEntry, *, now: datetime
) -> None:
    """Put a package's bytes into the store, and write down that they are there. Raises Refused for other bytes."""
    await asyncio.to_thread(store.put, chunks, expected=entry.digest, size=entry.size)
    row = {
        "digest": entry.digest,
        "size": entry.size,
        "file": entry.file,
        "path": str(store.path_of(entry.digest)),
        "kind": "package",
        "package": entry.package,
        "version": entry.version,
        "added_us": micros(now),
    }
    async with transaction(engine) as connection:
        await artifacts.put(connection, row)
