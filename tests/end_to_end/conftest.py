"""Worlds: a backend and hosts of real processes, ended to the last one and removed to the last file."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.demo.catalogue import bare_repository
from tests.end_to_end.world import World


@contextmanager
def new_world(*, git: bool = False) -> Iterator[World]:
    """A world that publishes to a folder, or to a git repository."""
    # Not in pytest's folder: its name is long, and it keeps what was in it.
    folder = Path(tempfile.mkdtemp(prefix="towline-e2e-"))
    published = folder / ("published.git" if git else "published")
    if git:
        bare_repository(published)
    world = World(folder, published=published)
    try:
        yield world
    finally:
        left = world.close()
    assert [] == left, "processes were left behind"


@pytest.fixture
def world() -> Iterator[World]:
    """A world of one test; its backend is not started yet."""
    with new_world() as made:
        yield made


@pytest.fixture
def git_world() -> Iterator[World]:
    """A world of one test that publishes to git; its backend is not started yet."""
    with new_world(git=True) as made:
        yield made
