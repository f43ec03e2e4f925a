"""One puller per host: a lock that dies with its holder."""

import errno
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from puller.disk import FULL


class SingleFlight:
    """Holds the lock of this host. Entering raises Stalled where another puller has it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = _open(self._path)
        if not _lock(descriptor):
            os.close(descriptor)
            from puller.ports import Stalled  # noqa: PLC0415 - who only asks for the holder loads nothing

            raise Stalled(f"another puller works on this host (pid {holder(self._path) or 'unknown'})")
        self._descriptor = descriptor
        try:
            _write_down(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)


def _open(path: Path) -> int:
    """The lock's file. A read-only file system has locks too: who waits for it must not wait twice."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise error from None


def _write_down(descriptor: int) -> None:
    """Our pid over the last holder's: in this order it needs no room. Where it cannot be, `holder` asks the kernel."""
    if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        return
    written = f"{os.getpid()}\n".encode()
    try:
        os.pwrite(descriptor, written, 0)
        os.ftruncate(descriptor, len(written))
    except OSError as error:
        if error.errno not in FULL:
            raise


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
    """The process that holds the lock now; None when nobody holds it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(descriptor, 20).split(b"\n")[0]
        return _by_kernel(descriptor, int(text) if text.isdigit() else None)
    finally:
        os.close(descriptor)
    return None


def _by_kernel(descriptor: int, written: int | None) -> int | None:
    """Who wrote itself down, unless the kernel knows that it is another: a holder on a read-only disk cannot write."""
    facts = os.fstat(descriptor)
    mark = f":{facts.st_ino} "
    exact = f" {os.major(facts.st_dev):02x}:{os.minor(facts.st_dev):02x}{mark}"
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return written
    # Some file systems (overlay, btrfs) have other device numbers here than stat says: then the inode has to do.
    lines = [line for line in lines if exact in line] or lines
    words = [line.split() for line in lines if mark in line and " FLOCK " in line and " -> " not in line]
    holders = [int(each[4]) for each in words if each[3] == "WRITE"]
    return holders[0] if len(holders) == 1 and holders[0] > 0 and written not in holders else written
