"""Where opened secrets lie while a step runs: in memory only, for this user only, and gone with the step.

Each step has a folder of its own below one folder of this prefix. A step outlives the puller under its keeper, and so
do its files: whichever puller finds its end removes them. After a reboot nothing is left of a tmpfs.
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from desired_state.names import ParameterName
from puller.ports import Stalled, Unavailable

IN_MEMORY = frozenset({"tmpfs", "ramfs"})
MOUNTS = Path("/proc/self/mountinfo")


class SecretFolder:
    """The opened secrets of one prefix. `places` are tried in their order; the first that is in memory is used."""

    def __init__(self, prefix: Path, *, places: Iterable[Path] | None = None, mounts: Path = MOUNTS) -> None:
        name = f"towline-secrets-{os.geteuid()}-{sha256(os.fsencode(prefix)).hexdigest()[:12]}"
        self._folders = [place / name for place in (_places() if places is None else places)]
        self._mounts = mounts

    def lay_out(self, step: str, values: Mapping[ParameterName, bytes]) -> dict[ParameterName, Path]:
        """A file of mode 0400 for each value, in a new folder for that step. Raises Stalled or Unavailable."""
        folder = self._folder() / _flat(step)
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            for name, value in values.items():
                _write(folder / name, value)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise Unavailable(f"secrets cannot be laid out in {folder}: {error}") from error
        return {name: folder / name for name in values}

    def remove(self, step: str) -> None:
        """Whatever was laid out for that step."""
        for folder in self._folders:
            shutil.rmtree(folder / _flat(step), ignore_errors=True)
            with suppress(OSError):  # another step's are still there, or nothing ever was
                folder.rmdir()

    def sweep(self) -> None:
        """Everything of this prefix. Only while no step runs."""
        for folder in self._folders:
            if folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder, ignore_errors=True)

    def _folder(self) -> Path:
        """The folder of this prefix, made and looked at: in /dev/shm somebody else may have been first."""
        for folder in self._folders:
            if _is_in_memory(folder.parent, self._mounts):
                return _own(folder)
        tried = " nor ".join(str(folder.parent) for folder in self._folders)
        raise Stalled(f"secrets are opened in memory only, and neither {tried} is a tmpfs here: mount one")


def _places() -> list[Path]:
    if os.geteuid() == 0:
        return [Path("/run"), Path("/dev/shm")]  # noqa: S108 - what is made there is made for us alone, and checked
    own = os.environ.get("XDG_RUNTIME_DIR", "")
    return [*([Path(own)] if own.startswith("/") else []), Path("/dev/shm")]  # noqa: S108


def _own(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        about = folder.lstat()
    except OSError as error:
        raise Unavailable(f"the folder for secrets {folder} cannot be made: {error}") from error
    if folder.is_symlink() or about.st_uid != os.geteuid() or about.st_mode & 0o077:
        raise Stalled(f"the folder for secrets {folder} is not this user's alone: find out who made it, and remove it")
    return folder


def _write(path: Path, value: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o400)
    with os.fdopen(descriptor, "wb") as file:
        file.write(value)


def _flat(step: str) -> str:
    return step.replace("/", "-")


def _is_in_memory(place: Path, mounts: Path) -> bool:
    """Whether the file system that this folder is on is kept in memory: its nearest mount point says."""
    if not place.is_dir():
        return False
    kinds: dict[str, str] = {}
    for line in mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        about, _, rest = line.partition(" - ")
        kinds[about.split()[4].encode().decode("unicode_escape")] = rest.split()[0]
    real = place.resolve()
    nearest = next((kinds[str(folder)] for folder in (real, *real.parents) if str(folder) in kinds), "")
    return nearest in IN_MEMORY
