"""What the tests of agentctl.sh share."""

from collections.abc import Iterator

import pytest

from tests.agent.scratch_host import Host, new_host


@pytest.fixture
def host() -> Iterator[Host]:
    """A fresh host."""
    with new_host() as (made, _):
        yield made
