"""A scratch prefix per test; whatever still runs below it at the end is ended."""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, because sockets and command lines repeat it."""
    with tempfile.TemporaryDirectory(prefix="towline-scripts-") as name:
        try:
            yield Path(name)
        finally:
            _end_processes(Path(name))


def _end_processes(folder: Path) -> None:
    """Processes whose service folder or working directory lies below the scratch folder: this test's own."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            where = f"{process.joinpath('cwd').readlink()}/"
            command = process.joinpath("cmdline").read_bytes()
            if int(process.name) != os.getpid() and (
                where.startswith(f"{folder}/") or f"{folder}/".encode() in command
            ):
                os.kill(int(process.name), signal.SIGKILL)
