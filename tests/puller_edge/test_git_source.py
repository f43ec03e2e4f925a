"""The git source against real servers: what it returns, what it refuses, and what it leaves behind."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from pygit2.enums import CredentialType

from puller.ports import Fetched, Stalled, Unavailable, Unchanged
from puller.sources.git import GitSource
from puller.sources.git_access import GitAccess, GitLimits
from puller.sources.git_address import Address, address_of
from puller.sources.git_callbacks import Callbacks
from puller.sources.published_tree import MAX_SOURCE_BYTES, document_path
from tests.puller_edge.certificates import Authority
from tests.puller_edge.conftest import raised
from tests.puller_edge.http_server import Exchange, serving
from tests.servers.forward_proxy import ForwardProxy
from tests.servers.git_https import GitOverHttps
from tests.servers.git_repository import BareRepository
from tests.servers.git_ssh import GitOverSsh

HOST = "web-1.example"
PATH = document_path(HOST)
QUICK = GitLimits(connect_s=5, silence_s=5, total_s=20)
"""libssh2 counts whole seconds: a bound of one may end at once."""


def fetch(source: GitSource, tag: str = "") -> Fetched | Unchanged:
    return asyncio.run(source.fetch(tag))


def fetched(source: GitSource, tag: str = "") -> Fetched:
    result = fetch(source, tag)
    assert isinstance(result, Fetched)
    return result


@pytest.fixture
def over_ssh(git_ssh: GitOverSsh, tmp_path: Path) -> GitAccess:
    """Access to git_ssh with the right key and the right host key."""
    (tmp_path / "known_hosts").write_text(git_ssh.known_hosts)
    return GitAccess(
        url=git_ssh.url,
        branch="main",
        ssh_key_file=git_ssh.private_key,
        known_hosts_file=tmp_path / "known_hosts",
        limits=QUICK,
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
        limits=QUICK,
    )


@pytest.fixture
def local(tmp_path: Path) -> tuple[BareRepository, GitAccess]:
    """A repository at a path, and access to it."""
    repository = BareRepository(tmp_path / "desired.git")
    return repository, GitAccess(url=f"file://{repository.path}", branch="main", limits=QUICK)


@pytest.fixture(params=["ssh", "https", "path"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[BareRepository, GitSource]:
    """A repository and a source of it, once for each way there."""
    if request.param == "path":
        repository, access = request.getfixturevalue("local")
    else:
        repository = request.getfixturevalue(f"git_{request.param}").repository
        access = request.getfixturevalue(f"over_{request.param}")
    return repository, GitSource(access, host=HOST, folder=tmp_path / "git")


def test_document_at_the_head_of_the_branch(served: tuple[BareRepository, GitSource]) -> None:
    """The exact bytes, the commit as tag, and where from."""
    repository, source = served
    commit = repository.commit({PATH: b"note\r\n\xff", "hosts/aa/other": b"x"})
    result = fetched(source)
    assert (b"note\r\n\xff", commit) == (result.data, result.tag)
    assert result.origin.endswith(f"desired.git main@{commit[:12]}")


def test_head_that_did_not_move_is_unchanged(served: tuple[BareRepository, GitSource]) -> None:
    """Shown its commit, the source says unchanged; shown a new one's parent, it brings the new one."""
    repository, source = served
    first = repository.commit({PATH: b"1"})
    assert Unchanged() == fetch(source, fetched(source).tag)
    second = repository.commit({PATH: b"2"})
    result = fetched(source, first)
    assert (b"2", second) == (result.data, result.tag)


def test_rewritten_history_brings_what_is_there_now(served: tuple[BareRepository, GitSource]) -> None:
    """After a force push the new bytes come: whether they may be older is the ratchet's question."""
    repository, source = served
    repository.commit({PATH: b"1"})
    repository.commit({PATH: b"2"})
    fetched(source)
    commit = repository.rewrite({PATH: b"other history"})
    result = fetched(source)
    assert (b"other history", commit) == (result.data, result.tag)


def test_branch_that_was_taken_back_brings_the_older_commit(served: tuple[BareRepository, GitSource]) -> None:
    """A branch reset to an older commit is fetched as it is."""
    repository, source = served
    first = repository.commit({PATH: b"1"})
    repository.commit({PATH: b"2"})
    fetched(source)
    repository._repository.references.create("refs/heads/main", first, force=True)
    result = fetched(source, "")
    assert (b"1", first) == (result.data, result.tag)


def test_empty_repository_has_no_document(served: tuple[BareRepository, GitSource]) -> None:
    """Without the branch there is no document, and the origin says that there is no such branch."""
    _, source = served
    result = fetched(source)
    assert (None, "", True) == (result.data, result.tag, result.origin.endswith("it has no branch main"))


def test_file_that_is_missing_is_no_document(served: tuple[BareRepository, GitSource]) -> None:
    """A commit without this host's file has no document for it."""
    repository, source = served
    commit = repository.commit({"hosts/aa/other": b"x"})
    result = fetched(source)
    assert (None, commit) == (result.data, result.tag)
    removed = repository.commit({PATH: b"1"}), repository.commit({PATH: None})
    assert (None, removed[1]) == (fetched(source).data, fetched(source).tag)


def test_folder_in_the_place_of_the_document(served: tuple[BareRepository, GitSource]) -> None:
    """A folder is no document."""
    repository, source = served
    repository.commit({f"{PATH}/x": b"x"})
    assert "is a folder, not a document" in str(raised(Stalled, lambda: fetch(source)))


def test_document_that_is_too_large_is_not_read(served: tuple[BareRepository, GitSource]) -> None:
    """Its size is asked for first."""
    repository, source = served
    repository.commit({PATH: b"x" * (MAX_SOURCE_BYTES + 1)})
    assert "more than any document" in str(raised(Stalled, lambda: fetch(source)))


def test_trust_file_by_version(served: tuple[BareRepository, GitSource]) -> None:
    """Trust files lie beside the documents."""
    repository, source = served
    repository.commit({"trust/2.note": b"trust 2"})
    assert [b"trust 2", None] == [asyncio.run(source.fetch_trust(version)) for version in (2, 3)]


@pytest.mark.parametrize("form", ["plain", "hashed", "among others"])
def test_pinned_host_key_in_each_form(git_ssh: GitOverSsh, over_ssh: GitAccess, tmp_path: Path, form: str) -> None:
    """A server whose key the file names is talked to."""
    file = tmp_path / "known_hosts"
    if form == "hashed":
        subprocess.run(["ssh-keygen", "-H", "-f", file], check=True, capture_output=True)
    if form == "among others":
        file.write_text(f"# servers\n@cert-authority *.x\nnonsense\n{git_ssh.known_hosts}")
    git_ssh.repository.commit({PATH: b"1"})
    assert b"1" == fetched(GitSource(over_ssh, host=HOST, folder=tmp_path / "git")).data


@pytest.mark.parametrize("line", ["wrong_known_hosts", "empty", "none"])
def test_host_key_that_is_not_pinned_is_refused(
    git_ssh: GitOverSsh, over_ssh: GitAccess, tmp_path: Path, line: str
) -> None:
    """Another key, no key, or no file at all: no credentials are shown, and a person is needed."""
    git_ssh.repository.commit({PATH: b"1"})
    access = replace(over_ssh, known_hosts_file=None) if line == "none" else over_ssh
    (tmp_path / "known_hosts").write_text("" if line != "wrong_known_hosts" else git_ssh.wrong_known_hosts)
    error = raised(Stalled, lambda: fetch(GitSource(access, host=HOST, folder=tmp_path / "git")))
    told = {"wrong_known_hosts": "is not the one that known_hosts_file names", "empty": "names no host key of ssh://"}
    assert told.get(line, "its host key is not pinned") in str(error)
    assert "Accepted" not in git_ssh.log.read_text()


def test_users_own_known_hosts_does_not_count(
    git_ssh: GitOverSsh, over_ssh: GitAccess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What some user of this machine once believed is not what this source is pinned to."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/known_hosts").write_text(git_ssh.known_hosts)
    monkeypatch.setenv("HOME", str(home))
    (tmp_path / "known_hosts").write_text(git_ssh.wrong_known_hosts)
    raised(Stalled, lambda: fetch(GitSource(over_ssh, host=HOST, folder=tmp_path / "git")))


def test_ssh_key_that_is_not_let_in(git_ssh: GitOverSsh, over_ssh: GitAccess, tmp_path: Path) -> None:
    """A key without access is shown once and not fifteen times."""
    access = replace(over_ssh, ssh_key_file=git_ssh.stranger_key)
    error = raised(Stalled, lambda: fetch(GitSource(access, host=HOST, folder=tmp_path / "git")))
    assert "refuses our credentials" in str(error)
    assert 1 == git_ssh.log.read_text().count("Failed publickey")


def test_ssh_key_that_is_missing(over_ssh: GitAccess, tmp_path: Path) -> None:
    """The text names the file."""
    access = replace(over_ssh, ssh_key_file=tmp_path / "absent")
    error = raised(Stalled, lambda: fetch(GitSource(access, host=HOST, folder=tmp_path / "git")))
    assert f"the ssh key in {tmp_path}/absent cannot be read" in str(error)


def test_wrong_password_is_shown_once(git_https: GitOverHttps, over_https: GitAccess, tmp_path: Path) -> None:
    """Wrong credentials need a person; trying them again would lock the account."""
    (tmp_path / "password").write_text("wrong")
    error = raised(Stalled, lambda: fetch(GitSource(over_https, host=HOST, folder=tmp_path / "git")))
    assert f"https://127.0.0.1:{git_https.port}/desired.git: refuses our credentials (reader)" in str(error)
    assert [] == git_https.requests


def test_password_is_read_at_each_fetch(git_https: GitOverHttps, over_https: GitAccess, tmp_path: Path) -> None:
    """A corrected password works without a restart."""
    git_https.repository.commit({PATH: b"1"})
    source = GitSource(over_https, host=HOST, folder=tmp_path / "git")
    (tmp_path / "password").write_text("wrong")
    raised(Stalled, lambda: fetch(source))
    (tmp_path / "password").write_text(git_https.password)
    assert b"1" == fetched(source).data


def test_no_credentials_configured(over_https: GitAccess, tmp_path: Path) -> None:
    """The text says which settings are missing."""
    access = replace(over_https, password_file=None)
    error = raised(Stalled, lambda: fetch(GitSource(access, host=HOST, folder=tmp_path / "git")))
    assert "Set username and password_file of the source" in str(error)


def test_password_in_the_url_is_refused(over_https: GitAccess, tmp_path: Path) -> None:
    """A password in a url would end in logs; the text does not repeat it."""
    access = replace(over_https, url="https://user:secret@git.test/x.git")
    error = raised(Stalled, lambda: fetch(GitSource(access, host=HOST, folder=tmp_path / "git")))
    assert ("holds a password" in str(error), "secret" in str(error)) == (True, False)


def in_a_process_of_its_own(access: GitAccess, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A fetch where libgit2 starts anew: what it was once told to trust, and where its user lives, it never forgets."""
    code = (
        "import asyncio, sys, msgspec\nfrom pathlib import Path\n"
        "from puller.sources.git import GitSource\nfrom puller.sources.git_access import GitAccess\n"
        "access = msgspec.json.decode(sys.argv[1], type=GitAccess, dec_hook=lambda kind, value: Path(value))\n"
        "fetched = asyncio.run(GitSource(access, host='web-1.example', folder=Path(sys.argv[2])).fetch(''))\n"
        "print(fetched.data)\n"
    )
    given = msgspec.json.encode(access, enc_hook=str).decode()
    command = [sys.executable, "-c", code, given, str(folder)]
    environment = {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def test_certificate_of_another_authority_is_refused(over_https: GitAccess, tmp_path: Path) -> None:
    """Without the private CA the server is not believed, and no credentials are shown."""
    ended = in_a_process_of_its_own(replace(over_https, ca_file=None), tmp_path / "git")
    assert "puller.ports.Stalled: git https://127.0.0.1" in ended.stderr
    assert "Either its CA is not named in ca_file" in ended.stderr


def test_way_through_a_proxy_that_wants_a_password(
    git_https: GitOverHttps,
    over_https: GitAccess,
    way_out: ForwardProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """https goes through the proxy of the environment, with its user and password."""
    git_https.repository.commit({PATH: b"1"})
    monkeypatch.setenv("https_proxy", way_out.url)
    access = replace(over_https, url=git_https.url_behind_proxy)
    assert b"1" == fetched(GitSource(access, host=HOST, folder=tmp_path / "git")).data
    assert {f"git.towline.test:{git_https.port}"} == set(way_out.tunnels)


def test_proxy_that_refuses_us(
    git_https: GitOverHttps,
    over_https: GitAccess,
    way_out: ForwardProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy that wants other credentials is not shown those of the repository."""
    monkeypatch.setenv("https_proxy", way_out.url_without_credentials)
    access = replace(over_https, url=git_https.url_behind_proxy)
    error = raised((Stalled, Unavailable), lambda: fetch(GitSource(access, host=HOST, folder=tmp_path / "git")))
    assert "proxy" in str(error)
    assert [] == git_https.requests


def test_nothing_of_the_users_configuration_applies(
    git_https: GitOverHttps, over_https: GitAccess, tmp_path: Path
) -> None:
    """A rewriting of urls in some ~/.gitconfig does not lead the source elsewhere."""
    (tmp_path / ".gitconfig").write_text('[url "file:///nowhere/"]\n\tinsteadOf = https://\n')
    git_https.repository.commit({PATH: b"1"})
    ended = in_a_process_of_its_own(over_https, tmp_path / "git", HOME=str(tmp_path))
    assert "b'1'\n" == ended.stdout, ended.stderr


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


def test_redirect_gets_no_credentials(
    git_https: GitOverHttps, over_https: GitAccess, authority: Authority, tmp_path: Path
) -> None:
    """A server that leads to another, which would let us in: it gets no credentials, and a person is needed."""
    git_https.repository.commit({PATH: b"1"})
    both = tmp_path / "both.pem"
    both.write_bytes(authority.ca_file.read_bytes() + git_https.ca_pem.read_bytes())
    place = f"https://localhost:{git_https.port}"

    def lead_on(exchange: Exchange) -> None:
        exchange.answer(301, headers={"Location": place + exchange.target})

    with serving(lead_on, authority.server_tls()) as server:
        access = replace(over_https, url=f"{server.url}/desired.git", ca_file=both)
        error = raised(Stalled, lambda: fetch(GitSource(access, host=HOST, folder=tmp_path / "git")))
    assert ("leads to localhost, which gets no credentials" in str(error), []) == (True, git_https.requests)


def test_credentials_are_not_sent_in_clear(over_https: GitAccess, tmp_path: Path) -> None:
    """A plain http server of the network is asked, but told no password."""
    access = replace(over_https, url="http://git.test/x.git")
    callbacks = Callbacks(access, address_of(access.url))
    error = raised(Stalled, lambda: callbacks.credentials(access.url, None, CredentialType.USERPASS_PLAINTEXT))
    assert "are not sent in clear" in str(error)


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        (
            "git@git.test:team/x.git",
            Address(scheme="ssh", host="git.test", port=22, path="team/x.git"),
            "ssh://git.test/team/x.git",
        ),
        (
            "ssh://git@Git.test:2222/x.git",
            Address(scheme="ssh", host="git.test", port=2222, path="/x.git"),
            "ssh://git.test:2222/x.git",
        ),
        (
            "https://git.test/x.git?t=1",
            Address(scheme="https", host="git.test", port=443, path="/x.git"),
            "https://git.test/x.git",
        ),
        ("/srv/x.git", Address(scheme="file", path="/srv/x.git"), "/srv/x.git"),
        ("file:///srv/a%20b.git", Address(scheme="file", path="/srv/a b.git"), "/srv/a b.git"),
    ],
)
def test_addresses(url: str, address: Address, shown: str) -> None:
    """Every form that git has is understood, and shown without user or query."""
    assert (address, shown) == (address_of(url), address_of(url).shown)


@pytest.mark.parametrize("url", ["", "git", "git://git.test/x", "ext::sh -c id", "https://", "http://[", "ssh://h:x/"])
def test_addresses_that_are_refused(url: str) -> None:
    """Anything else needs a person."""
    raised(Stalled, lambda: address_of(url))


@contextmanager
def _dripping_server() -> Iterator[str]:
    """Answers http with a header that never ends, a byte at a time."""

    def drip(exchange: Exchange) -> None:
        exchange.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not server.ending.wait(0.02):
            exchange.write(b"x")

    with serving(drip) as server:
        yield f"{server.url}/x.git"
