"""Documents from a folder: a mount, a synced bucket, a test."""

import asyncio
import os
from pathlib import Path

from desired_state.names import digest_of
from puller.ports import Fetched, Unavailable, Unchanged
from puller.sources.published_tree import MAX_SOURCE_BYTES, document_path, trust_path


class DirectorySource:
    """`<folder>/hosts/<xx>/<name>`."""

    def __init__(self, folder: Path, *, host: str) -> None:
        self._folder = folder
        self._host = host

    async def fetch(self, tag: str) -> Fetched | Unchanged:
        """See ports.Source; the tag is the digest of the bytes."""
        path = self._folder / document_path(self._host)
        data = await asyncio.to_thread(self._read, path)
        if data is None:
            return Fetched(data=None, origin=str(path))
        found = digest_of(data)
        return Unchanged() if found == tag else Fetched(data=data, tag=found, origin=str(path))

    async def fetch_trust(self, version: int) -> bytes | None:
        """See ports.Source."""
        return await asyncio.to_thread(self._read, self._folder / trust_path(version))

    async def close(self) -> None:
        """Holds nothing."""

    def _read(self, path: Path) -> bytes | None:
        """At most one byte more than is ever accepted: too large is the acceptance's refusal, not a full memory."""
        try:
            with path.open("rb") as file:
                return file.read(MAX_SOURCE_BYTES)
        except FileNotFoundError as error:
            if not os.path.isdir(self._folder):  # a mount that is away does not say that a document is gone
                raise Unavailable(f"the folder {self._folder} is not there: is it mounted?") from error
            return None
        except OSError as error:
            raise Unavailable(f"{path} cannot be read: {error.strerror}") from error
