"""Fixtures for tests of the backend."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.house import House, settings_for


@pytest.fixture
def house(database_url: str, tmp_path: Path) -> Iterator[House]:
    """A running backend on each database."""
    with House(settings_for(database_url, tmp_path)).open() as house:
        yield house


@pytest.fixture
def small_house(tmp_path: Path) -> Iterator[House]:
    """A running backend on SQLite, for what does not depend on the database."""
    with House(settings_for(f"sqlite:///{tmp_path / 'towline.db'}", tmp_path)).open() as house:
        yield house
