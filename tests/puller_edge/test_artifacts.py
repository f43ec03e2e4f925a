"""Packages and bundles: found or fetched, resumed, verified, and never there half."""

import asyncio
import os
import resource
import shutil
from collections import namedtuple
from collections.abc import Sequence
from pathlib import Path

import pytest

from desired_state.document import Artifact
from desired_state.names import digest_of
from puller.artifacts import ArtifactStore
from puller.ports import Stalled, Unavailable
from puller.transport.download import DownloadLimits
from puller.transport.http_client import HttpClient
from tests.puller_edge.backend import signed
from tests.puller_edge.clock import FakeClock
from tests.puller_edge.conftest import raised, with_client
from tests.puller_edge.http_server import Exchange, serving
from tests.puller_edge.range_server import file_server

CONTENT = bytes(range(256)) * 40 + b"end"
WRONG = b"\0" * len(CONTENT)
QUICK = DownloadLimits(window_s=0.4, window_bytes=100)


def artifact(*urls: str, content: bytes = CONTENT) -> Artifact:
    return Artifact(digest=digest_of(content), size=len(content), file="redis-6.0.tar.gz", urls=urls)


class Host:
    """A host's artifact folder, and `ensure` on it with a client of its own."""

    def __init__(self, folder: Path, clock: FakeClock) -> None:
        self.folder = folder
        self.clock = clock
        self.local_folders: tuple[Path, ...] = ()
        self.backend = ""
        self.ca_file: Path | None = None
        self.reserve_bytes = 0
        self.limits = QUICK

    def store(self, client: HttpClient) -> ArtifactStore:
        backend = signed(client, self.backend, self.clock) if self.backend else None
        return ArtifactStore(
            self.folder,
            client,
            signed=backend,
            local_folders=self.local_folders,
            limits=self.limits,
            reserve_bytes=self.reserve_bytes,
        )

    def ensure(self, wanted: Artifact, bases: Sequence[str] = ()) -> bytes:
        async def body(client: HttpClient) -> bytes:
            return (await self.store(client).ensure(wanted, bases)).read_bytes()

        return with_client(self.clock, body, ca_file=self.ca_file)

    def part(self, wanted: Artifact) -> Path:
        return self.folder / "parts" / wanted.digest.removeprefix("sha256:")

    def complete(self, wanted: Artifact) -> Path:
        return self.folder / "sha256" / wanted.digest.removeprefix("sha256:")

    def left(self) -> list[str]:
        """Every file but the empty ones that are only there to be locked."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and path.suffix != ".lock")
        return sorted(str(path.relative_to(self.folder)) for path in files)


@pytest.fixture
def host(tmp_path: Path, clock: FakeClock) -> Host:
    """With nothing on it."""
    return Host(tmp_path / "artifacts", clock)


def test_url_of_the_document_is_tried_before_the_bases(host: Host) -> None:
    """The file comes from its own URL, lies under its digest, read-only, and nothing else is left."""
    with serving(file_server(CONTENT)) as server:
        wanted = artifact(f"{server.url}/redis.tar.gz")
        assert CONTENT == host.ensure(wanted, [f"{server.url}/base"])
    assert ["/redis.tar.gz"] == [exchange.target for exchange in server.asked]
    assert [f"sha256/{host.complete(wanted).name}"] == host.left()
    assert 0o444 == host.complete(wanted).stat().st_mode & 0o777


def test_base_is_asked_by_digest(host: Host) -> None:
    """A base holds files under sha256/<hex>."""
    with serving(file_server(CONTENT)) as server:
        assert CONTENT == host.ensure(artifact(), [f"{server.url}/base/"])
    assert [f"/base/sha256/{host.complete(artifact()).name}"] == [exchange.target for exchange in server.asked]


def test_file_that_is_here_is_not_fetched(host: Host) -> None:
    """The second time nobody is asked, also after a restart."""
    with serving(file_server(CONTENT)) as server:
        wanted = artifact(server.url)
        host.ensure(wanted)
        host.ensure(wanted)
    assert 1 == len(server.asked)


def test_two_steps_share_one_fetch(host: Host) -> None:
    """Whoever wants the same file at the same time waits for the one fetch."""

    async def both(client: HttpClient) -> None:
        store = host.store(client)
        await asyncio.gather(store.ensure(wanted, ()), store.ensure(wanted, ()))

    with serving(file_server(CONTENT)) as server:
        wanted = artifact(server.url)
        with_client(host.clock, both)
    assert 1 == len(server.asked)


def test_two_processes_share_one_fetch(host: Host) -> None:
    """`plan` beside a running agent waits for the agent's fetch and uses it."""

    async def both(client: HttpClient) -> None:
        # Two stores know nothing of each other, as two processes do.
        await asyncio.gather(host.store(client).ensure(wanted, ()), host.store(client).ensure(wanted, ()))

    with serving(file_server(CONTENT, cuts=[100])) as server:
        wanted = artifact(server.url)
        with_client(host.clock, both)
    assert [None, "bytes=100-"] == [exchange.headers.get("range") for exchange in server.asked]


def test_folder_that_cannot_be_written(host: Host) -> None:
    """A disk that is read-only, or a folder that is none, is unavailable and named; nothing crashes."""
    host.folder.write_text("a file")
    error = raised(Unavailable, lambda: host.ensure(artifact("http://127.0.0.1:1/")))
    assert f"redis-6.0.tar.gz cannot be kept in {host.folder}/sha256: Not a directory" == str(error)


def test_every_offset(host: Host) -> None:
    """Cut at a hundred offsets, in turn after a restart each, the file is whole or not there."""

    async def each(client: HttpClient) -> None:
        await host.store(client).ensure(wanted, ())
        for offset in [*range(0, len(CONTENT), 103), len(CONTENT) - 1]:
            host.complete(wanted).unlink()
            host.part(wanted).write_bytes(CONTENT[:offset])
            assert CONTENT == (await host.store(client).ensure(wanted, ())).read_bytes()

    with serving(file_server(CONTENT)) as server:
        wanted = artifact(server.url)
        with_client(host.clock, each)
    assert {None, "bytes=103-"} <= {exchange.headers.get("range") for exchange in server.asked}


@pytest.mark.parametrize("damage", [b"", CONTENT[:-1], WRONG], ids=["empty", "cut", "altered"])
def test_file_that_is_damaged_is_fetched_again(host: Host, damage: bytes) -> None:
    """What lies there under the digest is believed only after it was read."""
    host.complete(artifact()).parent.mkdir(parents=True)
    host.complete(artifact()).write_bytes(damage)
    with serving(file_server(CONTENT)) as server:
        assert CONTENT == host.ensure(artifact(server.url))


def test_change_on_disk_is_noticed_in_the_same_process(host: Host) -> None:
    """A file that was true once is read again when the file system says that it was touched."""

    async def twice(client: HttpClient) -> bytes:
        store = host.store(client)
        path = await store.ensure(wanted, ())
        path.chmod(0o600)
        path.write_bytes(WRONG)
        return (await store.ensure(wanted, ())).read_bytes()

    with serving(file_server(CONTENT)) as server:
        wanted = artifact(server.url)
        assert CONTENT == with_client(host.clock, twice)


@pytest.mark.parametrize("name", ["redis-6.0.tar.gz", "{hex}", "sha256/{hex}"])
def test_local_folder_is_used_first(host: Host, tmp_path: Path, name: str) -> None:
    """A file in a configured folder is taken by name or digest; no network."""
    place = tmp_path / "mirror" / name.format(hex=host.complete(artifact()).name)
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    host.local_folders = (tmp_path / "absent", tmp_path / "mirror")
    assert CONTENT == host.ensure(artifact("http://127.0.0.1:1/never"))


def test_wrong_local_file_is_passed_over(host: Host, tmp_path: Path) -> None:
    """A file of the right name and the wrong content is not used; the next place is asked."""
    (tmp_path / "redis-6.0.tar.gz").write_bytes(WRONG)
    host.local_folders = (tmp_path,)
    with serving(file_server(CONTENT)) as server:
        assert CONTENT == host.ensure(artifact(server.url))


def test_file_url(host: Host, tmp_path: Path) -> None:
    """A base may be a folder: file://, with spaces written as %20."""
    folder = tmp_path / "a base" / "sha256"
    folder.mkdir(parents=True)
    (folder / host.complete(artifact()).name).write_bytes(CONTENT)
    assert CONTENT == host.ensure(artifact(), [f"file://{tmp_path}/a%20base"])


@pytest.mark.parametrize("offset", [1, 2, 255, 256, 257, 5000, len(CONTENT) - 1])
def test_download_is_resumed_where_it_was_cut(host: Host, offset: int) -> None:
    """The first answer breaks after some bytes, the second brings exactly the rest."""
    with serving(file_server(CONTENT, cuts=iter([offset]))) as server:
        assert CONTENT == host.ensure(artifact(server.url))
    assert [None, f"bytes={offset}-"] == [exchange.headers.get("range") for exchange in server.asked]


def test_part_survives_a_restart(host: Host) -> None:
    """What arrived before the puller was killed is not fetched again."""
    host.part(artifact()).parent.mkdir(parents=True)
    host.part(artifact()).write_bytes(CONTENT[:777])
    with serving(file_server(CONTENT)) as server:
        assert CONTENT == host.ensure(artifact(server.url))
    assert ["bytes=777-"] == [exchange.headers.get("range") for exchange in server.asked]


def test_part_that_is_complete_needs_no_network(host: Host) -> None:
    """Killed between the last byte and the rename: only the digest is looked at."""
    host.part(artifact()).parent.mkdir(parents=True)
    host.part(artifact()).write_bytes(CONTENT)
    assert CONTENT == host.ensure(artifact("http://127.0.0.1:1/never"))


@pytest.mark.parametrize("length", [100, len(CONTENT), len(CONTENT) + 1])
def test_part_that_is_wrong_is_thrown_away(host: Host, length: int) -> None:
    """A rest of something else is found out by the digest of the whole, and the file is fetched from its start."""
    host.part(artifact()).parent.mkdir(parents=True)
    host.part(artifact()).write_bytes(b"\xff" * length)
    with serving(file_server(CONTENT)) as server:
        assert CONTENT == host.ensure(artifact(server.url))
    assert None is server.asked[-1].headers.get("range")


def test_server_without_ranges(host: Host) -> None:
    """A server that answers 200 to a range starts the file anew."""
    host.part(artifact()).parent.mkdir(parents=True)
    host.part(artifact()).write_bytes(b"\xff" * 500)
    with serving(file_server(CONTENT, ranges=False)) as server:
        assert CONTENT == host.ensure(artifact(server.url))


def test_download_that_never_gets_further_ends(host: Host) -> None:
    """A connection that breaks each time after nothing is given up for now."""
    with serving(file_server(CONTENT, cuts=iter([0] * 50))) as server:
        error = raised(Unavailable, lambda: host.ensure(artifact(server.url)))
    assert 1 == len(server.asked)
    assert "cannot be had" in str(error)


def test_download_that_is_cut_each_time_keeps_what_came(host: Host) -> None:
    """After three attempts it is given up for now, and the next call goes on from there."""
    with serving(file_server(CONTENT, cuts=iter([100, 100, 100]))) as server:
        raised(Unavailable, lambda: host.ensure(artifact(server.url)))
        assert 300 == host.part(artifact()).stat().st_size
        assert CONTENT == host.ensure(artifact(server.url))
    assert "bytes=300-" == server.asked[-1].headers["range"]


def test_drip_is_cut_and_kept(host: Host) -> None:
    """A download slower than the minimum ends, whatever its read deadline says; what came is kept."""

    def drip(exchange: Exchange) -> None:
        exchange.begin(200, {"Content-Length": str(len(CONTENT))})
        for byte in CONTENT:
            exchange.write(bytes([byte]))
            if server.ending.wait(0.02):
                return

    with serving(drip) as server:
        wanted = artifact(server.url)
        host.part(wanted).parent.mkdir(parents=True)
        error = raised(Unavailable, lambda: host.ensure(wanted))
    assert "less than 100 bytes came in 0.4 s" in str(error)
    assert CONTENT.startswith(host.part(wanted).read_bytes())


def test_slow_download_goes_on_while_enough_comes(host: Host) -> None:
    """A large file over a thin line takes longer than any window, and is not cut."""

    def slow(exchange: Exchange) -> None:
        exchange.begin(200, {"Content-Length": str(len(CONTENT))})
        for start in range(0, len(CONTENT), 700):
            server.ending.wait(0.1)
            exchange.write(CONTENT[start : start + 700])

    host.limits = DownloadLimits(window_s=1, window_bytes=100)
    with serving(slow) as server:
        assert CONTENT == host.ensure(artifact(server.url))
    assert 1 == len(server.asked)


def test_wrong_content_is_never_used(host: Host) -> None:
    """Right size, wrong bytes: refused with its URL and without its query, nothing left on disk, a person is needed."""
    with serving(file_server(WRONG)) as server:
        error = raised(Stalled, lambda: host.ensure(artifact(f"{server.url}/x?token=1")))
    assert f"GET {server.url}/x: its content is not {artifact().digest}; it is not used" in str(error)
    assert [] == host.left()


def test_next_place_is_asked_after_wrong_content(host: Host) -> None:
    """One bad mirror does not keep the file away."""
    with serving(file_server(WRONG)) as bad, serving(file_server(CONTENT)) as good:
        assert CONTENT == host.ensure(artifact(bad.url, good.url))


def test_resumed_from_another_place(host: Host) -> None:
    """What one place began, another may finish: the digest covers the whole."""
    with serving(file_server(CONTENT, cuts=iter([400, 0, 0, 0]))) as first, serving(file_server(CONTENT)) as second:
        assert CONTENT == host.ensure(artifact(first.url, second.url))
    assert "bytes=400-" == second.asked[0].headers["range"]


def test_file_of_another_size_is_not_even_fetched(host: Host) -> None:
    """A Content-Length that is not the document's size ends it before the body."""
    with serving(file_server(CONTENT + b"x")) as server:
        error = raised(Stalled, lambda: host.ensure(artifact(server.url)))
    assert f"has {len(CONTENT) + 1} bytes, the document says {len(CONTENT)}" in str(error)


def test_endless_file_is_cut_at_its_size(host: Host) -> None:
    """A body without a length is read no further than the document's size."""

    def endless(exchange: Exchange) -> None:
        exchange.begin(200, {"Connection": "close"})
        while not server.ending.is_set():
            exchange.write(b"x" * 65536)

    with serving(endless) as server:
        error = raised(Stalled, lambda: host.ensure(artifact(server.url)))
    assert f"is longer than {len(CONTENT)} bytes" in str(error)
    assert len(CONTENT) >= sum(path.stat().st_size for path in host.folder.rglob("*") if path.is_file())


def test_range_that_was_not_asked_for(host: Host) -> None:
    """A server that answers with another range is not believed."""

    def respond(exchange: Exchange) -> None:
        exchange.answer(206, CONTENT[5:], {"Content-Range": f"bytes 5-{len(CONTENT) - 1}/{len(CONTENT)}"})

    host.part(artifact()).parent.mkdir(parents=True)
    host.part(artifact()).write_bytes(CONTENT[:9])
    with serving(respond) as server:
        assert "answers with the range" in str(raised(Stalled, lambda: host.ensure(artifact(server.url))))


def test_missing_file_may_come(host: Host) -> None:
    """404 is tried again later: the upload may be on its way. The busy server's patience is told."""

    def respond(exchange: Exchange) -> None:
        exchange.answer(503, headers={"Retry-After": "9"})

    with serving(lambda e: e.answer(404)) as missing, serving(respond) as busy:
        first = raised(Unavailable, lambda: host.ensure(artifact(missing.url)))
        second = raised(Unavailable, lambda: host.ensure(artifact(busy.url)))
    assert "is not there (404)" in str(first)
    assert isinstance(second, Unavailable)
    assert 9.0 == second.retry_after_s


def test_file_that_nobody_has(host: Host) -> None:
    """Without any place to ask, a person is needed."""
    assert "nobody says where it can be had" in str(raised(Stalled, lambda: host.ensure(artifact())))


def test_redirect_of_a_download_is_followed(host: Host) -> None:
    """Package hosts redirect to their stores: an unsigned download follows."""
    with (
        serving(file_server(CONTENT)) as store,
        serving(lambda e: e.answer(302, headers={"Location": f"{store.url}/file"})) as server,
    ):
        assert CONTENT == host.ensure(artifact(server.url))


def test_redirects_that_never_end(host: Host) -> None:
    """Five redirects are followed, not more."""
    with serving(lambda e: e.answer(302, headers={"Location": "/again"})) as server:
        error = raised(Stalled, lambda: host.ensure(artifact(server.url)))
    assert ("more than 5 redirects" in str(error), 6) == (True, len(server.asked))


def test_redirect_from_https_to_http_is_refused(host: Host, authority) -> None:
    """Nobody takes the encryption away."""
    host.ca_file = authority.ca_file
    with (
        serving(file_server(CONTENT)) as plain,
        serving(lambda e: e.answer(302, headers={"Location": plain.url}), authority.server_tls()) as server,
    ):
        error = raised(Stalled, lambda: host.ensure(artifact(server.url)))
    assert ("not https any more" in str(error), []) == (True, plain.asked)


def test_redirect_to_a_file_is_refused(host: Host, tmp_path: Path) -> None:
    """A server does not choose files of this host."""
    with serving(lambda e: e.answer(302, headers={"Location": f"file://{tmp_path}/x"})) as server:
        assert "refused" in str(raised(Stalled, lambda: host.ensure(artifact(server.url))))


def test_backend_is_asked_with_a_signature_and_others_without(host: Host) -> None:
    """Only the backend's own origin learns who asks."""
    with serving(lambda e: e.answer(404)) as other, serving(file_server(CONTENT)) as backend:
        host.backend = backend.url
        host.ensure(artifact(other.url), [f"{backend.url}/v1/artifacts"])
    signs = ["signature" in exchange.headers for exchange in (*other.asked, *backend.asked)]
    assert [False, True] == signs


def test_signed_download_follows_no_redirect(host: Host) -> None:
    """The backend's redirect would carry the host's signature elsewhere."""
    with (
        serving(file_server(CONTENT)) as other,
        serving(lambda e: e.answer(302, headers={"Location": other.url})) as backend,
    ):
        host.backend = backend.url
        error = raised(Stalled, lambda: host.ensure(artifact(), [f"{backend.url}/v1/artifacts"]))
    assert ("set backend_url" in str(error), []) == (True, other.asked)


def test_disk_without_room(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Space is looked at before anything is fetched, and the reserve stays free."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 0, len(CONTENT) + 99))
    host.reserve_bytes = 100
    with serving(file_server(CONTENT)) as server:
        error = raised(Unavailable, lambda: host.ensure(artifact(server.url)))
    assert f"needs {len(CONTENT) + 100} bytes" in str(error)
    assert [] == server.asked


def test_disk_that_fills_on_the_way(host: Host) -> None:
    """A write that fails says so of the disk and not of the network; what came is kept, and taken up with room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with serving(file_server(CONTENT)) as server:
        wanted = artifact(server.url)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
        try:
            error = raised(Unavailable, lambda: host.ensure(wanted))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert "redis-6.0.tar.gz cannot be written to disk" in str(error)
        assert CONTENT == host.ensure(wanted)
    assert "bytes=5000-" == server.asked[-1].headers["range"]


def test_sweep_keeps_what_is_used_and_the_newest_of_the_rest(host: Host) -> None:
    """Unused files go, oldest first, until the rest fits; parts that nobody wants go at once."""
    wanted = [artifact(content=bytes([number]) * 100) for number in range(5)]
    host.complete(wanted[0]).parent.mkdir(parents=True)
    for number, each in enumerate(wanted):
        host.complete(each).write_bytes(bytes([number]) * 100)
        _age(host.complete(each), number)
    host.part(wanted[0]).parent.mkdir()
    host.part(wanted[0]).write_bytes(b"half")
    host.part(artifact()).write_bytes(b"unwanted")
    freed = with_client(host.clock, lambda client: _sweep(host.store(client), [wanted[0].digest, wanted[2].digest]))
    kept = [f"parts/{host.part(wanted[0]).name}", *(f"sha256/{host.complete(wanted[n]).name}" for n in (0, 2, 4))]
    assert (208, sorted(kept)) == (freed, host.left())


async def _sweep(store: ArtifactStore, used: Sequence[str]) -> int:
    return store.sweep(used, keep_bytes=150)


def _age(path: Path, seconds: int) -> None:
    os.utime(path, (1_700_000_000 + seconds, 1_700_000_000 + seconds))
