"""The lab of a test session; each of pytest's workers has its own."""

import os
from collections.abc import Iterator

import pytest

from tests.vm.lab import Lab, new_lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Network and machines, until the session ends."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    with new_lab(number=int(worker.removeprefix("gw"))) as made:
        yield made
