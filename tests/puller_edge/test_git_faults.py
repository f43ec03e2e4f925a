"""Git servers that hang, repositories and clones that are damaged: bounded, and told."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from puller.ports import Stalled, Unavailable, Unchanged
from puller.sources.git import GitSource
from puller.sources.git_access import GitAccess
from tests.puller_edge.conftest import raised
from tests.puller_edge.git_ways import HOST, PATH, QUICK, fetch, fetched
from tests.puller_edge.http_server import Exchange, serving
from tests.servers.git_https import GitOverHttps


@pytest.mark.parametrize("url", ["ssh://git@127.0.0.1:{port}/x", "https://127.0.0.1:{port}/x"])
def test_server_that_is_silent(url: str, tmp_path: Path) -> None:
    """A server that accepts and says nothing is unavailable at its deadline."""
    (tmp_path / "known_hosts").write_text("")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)
        port = listener.getsockname()[1]
        (tmp_path / "known_hosts").write_text(f"[127.0.0.1]:{port} ssh-ed25519 {_ED25519}\n")
        access = GitAccess(
            url=url.format(port=port), known_hosts_file=tmp_path / "known_hosts", limits=replace(QUICK, silence_s=0.3)
        )
        raised(Unavailable, lambda: fetch(GitSource(access, host=HOST, folder=tmp_path / "git")))


_ED25519 = "AAAAC3NzaC1lZDI1NTE5AAAAIBERERERERERERERERERERERERERERERERERERERERERERER"


def test_server_that_drips_ends_at_the_deadline_and_does_not_block_the_next_fetch(
    git_https: GitOverHttps, over_https: GitAccess, tmp_path: Path
) -> None:
    """libgit2 cannot be interrupted while a header drips: the pass goes on, and the next fetch runs beside it."""
    git_https.repository.commit({PATH: b"1"})
    access = replace(over_https, limits=replace(QUICK, total_s=0.5))
    with _dripping_server() as url:
        source = GitSource(replace(access, url=url), host=HOST, folder=tmp_path / "git")
        assert "not done in 0.5 s" in str(raised(Unavailable, lambda: fetch(source)))
        source._access = replace(over_https)
        assert b"1" == fetched(source).data


def test_fetches_that_hang_are_bounded(tmp_path: Path) -> None:
    """Four fetches may hang; then the source waits for one to end."""
    with _dripping_server() as url:
        access = GitAccess(url=url, limits=replace(QUICK, total_s=0.1))
        source = GitSource(access, host=HOST, folder=tmp_path / "git")
        texts = [str(raised(Unavailable, lambda: fetch(source))) for _ in range(6)]
    assert (4, 2) == (sum("not done in" in text for text in texts), sum("still hang" in text for text in texts))
    assert [True] * 4 == [ended.wait(20) for ended in source._ended]


def test_nobody_listens(tmp_path: Path) -> None:
    """A refused connection is unavailable and names the server."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{unused.getsockname()[1]}/x.git"
        source = GitSource(GitAccess(url=url, limits=QUICK), host=HOST, folder=tmp_path / "git")
        assert str(raised(Unavailable, lambda: fetch(source))).startswith(f"git {url}: failed to connect")


@pytest.mark.parametrize("way", ["over_ssh", "over_https"])
def test_repository_that_is_not_there(request: pytest.FixtureRequest, tmp_path: Path, way: str) -> None:
    """A wrong path on the right server needs a person."""
    access = request.getfixturevalue(way)
    access = replace(access, url=access.url.replace("desired", "desirable"))
    assert "Correct the url" in str(
        raised(Stalled, lambda: fetch(GitSource(access, host=HOST, folder=tmp_path / "git")))
    )


def test_path_that_is_no_repository(tmp_path: Path) -> None:
    """A mount that is away may come back."""
    source = GitSource(GitAccess(url=str(tmp_path / "absent")), host=HOST, folder=tmp_path / "git")
    assert "is no git repository, or not there" in str(raised(Unavailable, lambda: fetch(source)))


def _wipe_objects(clone: Path) -> None:
    shutil.rmtree(clone / "objects")
    (clone / "objects").mkdir()


def _cut_pack(clone: Path) -> None:
    for pack in (clone / "objects/pack").glob("*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(pack.read_bytes()[:20])


def _wipe_all(clone: Path) -> None:
    shutil.rmtree(clone)


def _spoil_head(clone: Path) -> None:
    (clone / "HEAD").write_bytes(b"\xff")


def _spoil_reference(clone: Path) -> None:
    (clone / "refs/remotes/source/head").write_bytes(b"\xff\xff")


@pytest.mark.parametrize("damage", [_wipe_objects, _cut_pack, _wipe_all, _spoil_head, _spoil_reference])
def test_damaged_clone_is_made_afresh(
    git_https: GitOverHttps, over_https: GitAccess, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """The clone is a cache: whatever happened to it, the next fetch brings the document."""
    commit = git_https.repository.commit({PATH: b"1"})
    source = GitSource(over_https, host=HOST, folder=tmp_path / "git")
    fetched(source)
    damage(tmp_path / "git/clone-0")
    result = fetched(source)
    assert (b"1", commit) == (result.data, result.tag)


@pytest.mark.parametrize("way", ["git_https", "local"])
def test_damaged_repository_is_unavailable(request: pytest.FixtureRequest, tmp_path: Path, way: str) -> None:
    """Objects lost at the server: nothing comes, nothing is taken for 'no document'."""
    if way == "local":
        repository, access = request.getfixturevalue("local")
    else:
        repository, access = request.getfixturevalue("git_https").repository, request.getfixturevalue("over_https")
    repository.commit({PATH: b"1"})
    for folder in (repository.path / "objects").glob("??"):
        if not (folder / repository.head()[2:]).exists():
            shutil.rmtree(folder)
    raised(Unavailable, lambda: fetch(GitSource(access, host=HOST, folder=tmp_path / "git")))


def test_two_hundred_polls_leave_few_packs_and_no_descriptors(
    git_https: GitOverHttps, over_https: GitAccess, tmp_path: Path
) -> None:
    """Packs, bytes and descriptors stay bounded however often the source is asked and the branch moves."""
    access = replace(over_https, limits=replace(QUICK, max_packs=4))
    source = GitSource(access, host=HOST, folder=tmp_path / "git")
    tag, packs, descriptors = "", [], []
    for number in range(200):
        if number % 20 == 0:
            git_https.repository.commit({PATH: b"%d" % number, "hosts/aa/other": os.urandom(2000)})
            tag = fetched(source, tag).tag
        else:
            assert Unchanged() == fetch(source, tag)
        packs.append(len(list((tmp_path / "git").rglob("*.pack"))))
        descriptors.append(len(os.listdir("/proc/self/fd")))
    size = sum(path.stat().st_size for path in (tmp_path / "git").rglob("*") if path.is_file())
    assert (4, True) == (max(packs), size < 200_000)
    # The server's threads are of this process too, and end when they like.
    assert max(descriptors[100:]) <= max(descriptors[:20]) + 4


@contextmanager
def _dripping_server() -> Iterator[str]:
    """Answers http with a header that never ends, a byte at a time."""

    def drip(exchange: Exchange) -> None:
        exchange.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not server.ending.wait(0.02):
            exchange.write(b"x")

    with serving(drip) as server:
        yield f"{server.url}/x.git"
