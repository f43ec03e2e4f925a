"""A bound on what strangers fetch at the same time: each holds a file open and a quarter of a megabyte of memory."""

from collections.abc import AsyncGenerator, AsyncIterator

from api.errors import TryLater

MOST = 100
RETRY_AFTER_S = 10


class Downloads:
    """Counts the public downloads of one process that are running."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._running = 0

    def check(self) -> None:
        """Passes while there is room. Raises TryLater. Those that ask in the same moment may all pass."""
        if self._running >= self._most:
            raise TryLater(f"{self._running} downloads are running; the next one has to wait", RETRY_AFTER_S)

    async def counted(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """The same chunks; the download counts from the first until the end, however it ends."""
        self._running += 1
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            self._running -= 1
