"""A scratch prefix per test; whatever still runs below it at the end is ended."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripts.calling import end_processes


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, because sockets and command lines repeat it."""
    with tempfile.TemporaryDirectory(prefix="towline-scripts-") as name:
        try:
            yield Path(name)
        finally:
            end_processes(Path(name))
