"""What every test of the edge stands on."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from puller.transport.http_client import Deadlines, HttpClient
from tests.puller_edge.certificates import Authority
from tests.puller_edge.clock import FakeClock

T = TypeVar("T")

QUICK = Deadlines(connect_s=2, read_s=2, write_s=2, total_s=4)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxy the machine has, loopback is asked directly, unless a test says otherwise."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def clock() -> FakeClock:
    """Stands still."""
    return FakeClock()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The private CA that clients trust."""
    return Authority(tmp_path_factory.mktemp("ca"))


def with_client(
    clock: FakeClock,
    use: Callable[[HttpClient], Awaitable[T]],
    *,
    ca_file: Path | None = None,
    deadlines: Deadlines = QUICK,
) -> T:
    """The result of `use`, with a client that is closed afterwards."""

    async def body() -> T:
        async with HttpClient(clock=clock, ca_file=ca_file, deadlines=deadlines) as client:
            return await use(client)

    return asyncio.run(body())


def raised(kind: type[BaseException], call: Callable[[], object]) -> BaseException:
    """The error of that class that a call raises."""
    with pytest.raises(kind) as caught:
        call()
    return caught.value
