"""One puller per host: a lock that dies with its holder."""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self


class SingleFlight:
    """Holds the lock of this host. Entering raises Stalled where another puller has it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _lock(descriptor):
            os.close(descriptor)
            from puller.ports import Stalled  # noqa: PLC0415 - who only asks for the holder loads nothing

            raise Stalled(f"another puller works on this host (pid {holder(self._path) or 'unknown'})")
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


def _lock(descriptor: int) -> bool:
    """Tries for half a second: who asks who holds the lock holds it for a moment."""
    for _ in range(10):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


def holder(path: Path) -> int | None:
    """The process that holds the lock now, as it wrote itself down; None when nobody holds it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        written = os.read(descriptor, 20).strip()
        return int(written) if written.isdigit() else None
    finally:
        os.close(descriptor)
    return None
