"""Whom the git source believes, what it shows to whom, and through which proxy it goes."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from pygit2.enums import CredentialType

from puller.ports import Stalled, Unavailable
from puller.sources.git import GitSource
from puller.sources.git_access import GitAccess
from puller.sources.git_address import address_of
from puller.sources.git_callbacks import Callbacks
from tests.puller_edge.certificates import Authority
from tests.puller_edge.conftest import raised
from tests.puller_edge.git_ways import HOST, PATH, fetch, fetched
from tests.puller_edge.http_server import Exchange, serving
from tests.servers.forward_proxy import ForwardProxy
from tests.servers.git_https import GitOverHttps
from tests.servers.git_ssh import GitOverSsh


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
