"""What a call left behind: files, and processes."""

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

Tree = dict[str, tuple[int, int, str]]


def tree(folder: Path) -> Tree:
    """All that is in a folder: mode, time of change, and digest or target, by path."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        if path.is_symlink():
            content = str(path.readlink())
        elif path.is_file():
            content = sha256(path.read_bytes()).hexdigest()
        else:
            content = ""
        found[str(path.relative_to(folder))] = (about.st_mode, about.st_mtime_ns, content)
    return found


def running_below(folder: Path) -> list[int]:
    """Processes whose working directory lies below the folder, or whose command line names it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            where = f"{process.joinpath('cwd').readlink()}/"
            command = process.joinpath("cmdline").read_bytes()
            if int(process.name) != os.getpid() and (
                where.startswith(f"{folder}/") or f"{folder}/".encode() in command
            ):
                found.append(int(process.name))
    return found
