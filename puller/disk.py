"""A disk that takes nothing: how it shows in errors, how it looks, and the words for it.

It may be full or read-only for hours, and nothing is damaged by that: the puller waits, says so, and goes on by itself.
"""

import errno
import os
import sqlite3
from pathlib import Path
from typing import Literal

State = Literal["full", "read-only", ""]
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SQLITE_FULL, _SQLITE_READONLY, _SQLITE_IOERR, _SQLITE_CANTOPEN = 13, 8, 10, 14
"""Primary result codes: https://www.sqlite.org/rescode.html"""
_BLOCK = b"\0" * 4096


class DiskTrouble(Exception):
    """Nothing can be written where this host's state lies. The text says so, and what to do."""

    def __init__(self, state: State, folder: Path) -> None:
        super().__init__(words(state, folder))
        self.folder = folder
        self.reason = {"full": "DiskFull", "read-only": "DiskReadOnly"}.get(state, "DiskFailed")


def words(state: State, folder: Path) -> str:
    """For logs, conditions and people."""
    what, advice = {
        "full": ("is full", "make room"),
        "read-only": ("is read-only", "look at dmesg, repair it and mount it writable"),
    }.get(state, ("cannot be written", "look at dmesg"))
    return (
        f"the disk of {folder} {what}: nothing can be recorded, so nothing is changed on this host. "
        f"What to do: {advice}; it goes on by itself then"
    )


def seen(folder: Path) -> State:
    """How the file system looks; nothing is tried. Empty: well, or it cannot be looked at."""
    try:
        stat = os.statvfs(folder)
    except OSError:
        return ""
    if stat.f_flag & os.ST_RDONLY:
        return "read-only"
    no_inodes = stat.f_files > 0 and stat.f_favail == 0
    return "full" if stat.f_bavail == 0 or no_inodes else ""


def trouble(error: BaseException, folder: Path) -> DiskTrouble | None:
    """What an error says of the disk; None for one that says nothing of it."""
    if isinstance(error, BaseExceptionGroup):
        found = (trouble(each, folder) for each in error.exceptions)
        return next((each for each in found if each is not None), None)
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(error, folder)
    if isinstance(error, OSError) and error.errno in (*FULL, errno.EROFS):
        return DiskTrouble("read-only" if error.errno == errno.EROFS else "full", _place(error, folder))
    return trouble(error.__cause__, folder) if error.__cause__ is not None else None


def is_writable(folder: Path) -> bool:
    """Whether a block can be written there now: tried, because a look at free space does not know quotas."""
    probe = folder / ".probe"  # always the same one: what is killed here leaves one, and not one each time
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        os.write(descriptor, _BLOCK)
        os.fsync(descriptor)
    except OSError:
        return False
    finally:
        os.close(descriptor)
        probe.unlink(missing_ok=True)
    return True


def _place(error: OSError, folder: Path) -> Path:
    """The folder that was written to, which may be of another file system than the state."""
    if isinstance(error.filename, str) and error.filename.startswith("/"):
        return next((place for place in Path(error.filename).parents if place.is_dir()), folder)
    return folder


def _of_sqlite(error: sqlite3.Error, folder: Path) -> DiskTrouble | None:
    """SQLite names some of it; the rest it calls an I/O error, and the file system is looked at."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == _SQLITE_FULL:
        return DiskTrouble("full", folder)
    if code not in (_SQLITE_READONLY, _SQLITE_IOERR, _SQLITE_CANTOPEN):
        return None
    state = seen(folder)
    if not state and is_writable(folder):
        return None
    return DiskTrouble(state, folder)
