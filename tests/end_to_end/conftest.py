"""Worlds: a backend and hosts of real processes, ended to the last one and removed to the last file."""

from collections.abc import Iterator

import pytest

from tests.end_to_end.world import World, new_world


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
