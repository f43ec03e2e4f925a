"""What a child prints: read as it comes, kept up to a bound, the rest thrown away."""

import asyncio
import os
from types import TracebackType
from typing import IO, Self


class Output:
    """One pipe of a child. Reads for as long as it is open, so a child that prints without end is never blocked."""

    def __init__(self, stream: IO[bytes] | None, max_bytes: int) -> None:
        if stream is None:
            raise ValueError("the child was started without pipes")
        self._stream, self._max = stream, max_bytes
        self._kept = bytearray()
        self._closed = asyncio.Event()

    @property
    def data(self) -> bytes:
        """What was kept so far: the first `max_bytes`."""
        return bytes(self._kept)

    async def complete(self, timeout_s: float) -> bool:
        """Waits until everybody closed the other end; False when somebody still holds it after so long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._closed.wait()
        except TimeoutError:
            return False
        return True

    def __enter__(self) -> Self:
        os.set_blocking(self._stream.fileno(), False)
        asyncio.get_running_loop().add_reader(self._stream.fileno(), self._readable)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._stream.close()

    def _readable(self) -> None:
        chunk = os.read(self._stream.fileno(), 65536)
        self._kept += chunk[: self._max - len(self._kept)]
        if not chunk:
            self._stop()

    def _stop(self) -> None:
        asyncio.get_running_loop().remove_reader(self._stream.fileno())
        self._closed.set()
