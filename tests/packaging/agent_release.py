"""Releases of the agent, unpacked, and what a process of one has in its memory."""

import os
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

RUNS_CODE = b"import sys\n\n\ndef main(prog_name):\n    exec(sys.argv[1], {})\n"
"""In place of the command line: a release started as ever runs what it is given."""


def run(*command: str | Path, environment: dict[str, str] | None = None, accept: tuple[int, ...] = (0,)) -> str:
    """What a command printed; it must end with one of these codes."""
    given = {"PATH": os.environ["PATH"]} if environment is None else environment
    done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in accept, done.stdout + done.stderr
    return done.stdout


def members(archive: Path) -> list[tarfile.TarInfo]:
    """The table of contents."""
    with tarfile.open(archive) as tar:
        return tar.getmembers()


def mapped_files(maps: str) -> set[str]:
    """The files that a process has in its memory, of its `maps`."""
    fields = [line.split(maxsplit=5) for line in maps.splitlines()]
    return {line[5] for line in fields if len(line) == 6 and line[5].startswith("/")}


def until(true: Callable[[], bool]) -> None:
    """Waits for it, for as long as only a failing test does."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.05)
