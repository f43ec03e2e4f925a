"""Documents as files in a folder: for nginx, a shared disk, or a host that reads the folder itself."""

import fcntl
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from api.publish.target import TargetUnavailable, target_name

LOCK_FILE = ".towline-publisher.lock"


class DirectoryTarget:
    """A folder. Each file appears whole under its name or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self.name = target_name("directory", self._folder)

    def open(self) -> "DirectoryDoor":
        """Waits for the folder's lock, which dies with its holder. Raises TargetUnavailable."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / LOCK_FILE).open("a")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                raise
        except BlockingIOError as error:
            raise TargetUnavailable(f"{self._folder} is being written by another publisher") from error
        except OSError as error:
            raise TargetUnavailable(f"cannot write to {self._folder}: {error}") from error
        return DirectoryDoor(self._folder, lock)


class DirectoryDoor:
    """The folder while nobody else writes in it."""

    state = ""

    def __init__(self, folder: Path, lock: IO[str]) -> None:
        self._folder = folder
        self._lock = lock

    def put(self, files: Mapping[str, bytes], message: str) -> str:
        """Write each file that differs. Raises TargetUnavailable; what was written until then is whole."""
        try:
            folders = {path.parent for name, data in files.items() if (path := self._write(name, data))}
            for folder in folders:
                _sync_folder(folder)
        except OSError as error:
            raise TargetUnavailable(f"cannot write to {self._folder}: {error}") from error
        return ""

    def close(self) -> None:
        """Let the next publisher in."""
        self._lock.close()

    def _write(self, name: str, data: bytes) -> Path | None:
        path = self._folder / name
        if path.is_file() and path.read_bytes() == data:
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                os.fchmod(file.fileno(), 0o644)  # documents are public; secrets in them are sealed
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return path


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
