"""What every test of the edge stands on."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from puller.sources.git import GitSource
from puller.sources.git_access import GitAccess
from puller.transport.http_client import Deadlines, HttpClient
from tests.puller_edge.certificates import Authority
from tests.puller_edge.clock import FakeClock
from tests.puller_edge.git_ways import HOST
from tests.puller_edge.git_ways import QUICK as QUICK_GIT
from tests.servers.git_https import GitOverHttps
from tests.servers.git_repository import BareRepository
from tests.servers.git_ssh import GitOverSsh

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


@pytest.fixture
def over_ssh(git_ssh: GitOverSsh, tmp_path: Path) -> GitAccess:
    """Access to git_ssh with the right key and the right host key."""
    (tmp_path / "known_hosts").write_text(git_ssh.known_hosts)
    return GitAccess(
        url=git_ssh.url,
        branch="main",
        ssh_key_file=git_ssh.private_key,
        known_hosts_file=tmp_path / "known_hosts",
        limits=QUICK_GIT,
    )


@pytest.fixture
def over_https(git_https: GitOverHttps, tmp_path: Path) -> GitAccess:
    """Access to git_https with the right password and the right CA."""
    (tmp_path / "password").write_text(f"{git_https.password}\n")
    return GitAccess(
        url=git_https.url,
        branch="main",
        username=git_https.user,
        password_file=tmp_path / "password",
        ca_file=git_https.ca_pem,
        limits=QUICK_GIT,
    )


@pytest.fixture
def local(tmp_path: Path) -> tuple[BareRepository, GitAccess]:
    """A repository at a path, and access to it."""
    repository = BareRepository(tmp_path / "desired.git")
    return repository, GitAccess(url=f"file://{repository.path}", branch="main", limits=QUICK_GIT)


@pytest.fixture(params=["ssh", "https", "path"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[BareRepository, GitSource]:
    """A repository and a source of it, once for each way there."""
    if request.param == "path":
        repository, access = request.getfixturevalue("local")
    else:
        repository = request.getfixturevalue(f"git_{request.param}").repository
        access = request.getfixturevalue(f"over_{request.param}")
    return repository, GitSource(access, host=HOST, folder=tmp_path / "git")
