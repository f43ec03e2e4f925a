"""Documents pushed to real git servers: over ssh with pinned keys, over https with a private CA, through a proxy."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.git_access import GitAccess
from api.publish.git import MAX_LOOSE_FOLDER, GitTarget
from api.publish.target import TargetMoved, TargetUnavailable
from tests.puller_edge.certificates import Authority
from tests.puller_edge.http_server import serving
from tests.servers.forward_proxy import ForwardProxy
from tests.servers.git_https import GitOverHttps
from tests.servers.git_ssh import GitOverSsh

FILES = {"hosts/aa/one": b"1", "hosts/bb/two": b"2"}


def over_ssh(git: GitOverSsh, folder: Path, **more: Any) -> GitTarget:
    """The branch `published` of the repository behind sshd."""
    known = folder / "known_hosts"
    known.write_text(git.known_hosts)
    access = GitAccess(url=git.url, ssh_key_file=git.private_key, known_hosts_file=known)
    return GitTarget(msgspec.structs.replace(access, **more), "published", folder / "scratch")


def over_https(git: GitOverHttps, folder: Path, **more: Any) -> GitTarget:
    """The branch `published` of the repository behind TLS."""
    secret = folder / "password"
    secret.write_text(git.password + "\n")
    access = GitAccess(url=git.url, username=git.user, password_file=secret, ca_file=git.ca_pem)
    return GitTarget(msgspec.structs.replace(access, **more), "published", folder / "scratch")


def put(target: GitTarget, files: dict[str, bytes]) -> str:
    """One publication."""
    door = target.open()
    try:
        return door.put(files, "a change")
    finally:
        door.close()


def test_documents_are_pushed_over_ssh(git_ssh: GitOverSsh, tmp_path: Path) -> None:
    """The first push makes the branch, the second stands on it."""
    target = over_ssh(git_ssh, tmp_path)
    put(target, FILES)
    commit = put(target, {"hosts/aa/one": b"1b"})
    assert git_ssh.repository.head("published") == commit
    found = [git_ssh.repository.read(path, branch="published") for path in FILES]
    assert found == [b"1b", b"2"]


def test_a_server_with_another_key_gets_nothing(git_ssh: GitOverSsh, tmp_path: Path) -> None:
    """libgit2 would take any host key; we push only to the one that is known."""
    wrong = tmp_path / "wrong_known_hosts"
    wrong.write_text(git_ssh.wrong_known_hosts)
    with pytest.raises(TargetUnavailable, match="not one we trust"):
        put(over_ssh(git_ssh, tmp_path, known_hosts_file=wrong), FILES)
    assert git_ssh.repository.head("published") is None


def test_an_unknown_server_gets_nothing(git_ssh: GitOverSsh, tmp_path: Path) -> None:
    """No line for it: nobody is asked, nothing is sent."""
    empty = tmp_path / "empty"
    empty.write_text("")
    with pytest.raises(TargetUnavailable, match="not one we trust"):
        put(over_ssh(git_ssh, tmp_path, known_hosts_file=empty), FILES)


def test_a_key_that_is_not_let_in_is_offered_once(git_ssh: GitOverSsh, tmp_path: Path) -> None:
    """libgit2 would offer it fifteen times; the error says what to check."""
    with pytest.raises(TargetUnavailable, match="does not accept our credentials"):
        put(over_ssh(git_ssh, tmp_path, ssh_key_file=git_ssh.stranger_key), FILES)


def test_documents_are_pushed_over_https(git_https: GitOverHttps, tmp_path: Path) -> None:
    """With a private CA and a password from a file."""
    put(over_https(git_https, tmp_path), FILES)
    assert git_https.repository.read("hosts/aa/one", branch="published") == b"1"


def test_a_certificate_of_nobody_we_know_gets_nothing(git_https: GitOverHttps, tmp_path: Path) -> None:
    """Without the private CA the server is a stranger."""
    with pytest.raises(TargetUnavailable):
        put(over_https(git_https, tmp_path, ca_file=None), FILES)
    assert git_https.requests == []


def test_a_wrong_password_is_tried_once(git_https: GitOverHttps, tmp_path: Path) -> None:
    """Accounts are locked by less than fifteen attempts."""
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong\n")
    with pytest.raises(TargetUnavailable, match="does not accept our credentials"):
        put(over_https(git_https, tmp_path, password_file=wrong), FILES)


def test_documents_are_pushed_through_a_proxy(
    git_https: GitOverHttps, way_out: ForwardProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's name is known to the proxy of the environment only."""
    monkeypatch.setenv("https_proxy", way_out.url)
    monkeypatch.setenv("HTTPS_PROXY", way_out.url)
    put(over_https(git_https, tmp_path, url=git_https.url_behind_proxy), FILES)
    assert git_https.repository.read("hosts/aa/one", branch="published") == b"1"


def test_a_branch_that_moved_is_not_pushed_over(git_https: GitOverHttps, tmp_path: Path) -> None:
    """Another publisher was faster: TargetMoved, its commit stays; on the new head both stand."""
    target = over_https(git_https, tmp_path)
    put(target, FILES)
    slow = target.open()
    git_https.repository.commit({"hosts/aa/one": b"newer"}, branch="published")
    with pytest.raises(TargetMoved):
        slow.put({"hosts/aa/one": b"older"}, "late")
    slow.close()
    assert git_https.repository.read("hosts/aa/one", branch="published") == b"newer"
    put(target, {"hosts/bb/two": b"2b"})
    found = [git_https.repository.read(path, branch="published") for path in FILES]
    assert found == [b"newer", b"2b"]


def test_a_rewritten_history_is_built_upon(git_https: GitOverHttps, tmp_path: Path) -> None:
    """Somebody forced the branch back: what they left stays where nobody publishes, and documents stand on it."""
    target = over_https(git_https, tmp_path)
    put(target, FILES)
    git_https.repository.rewrite({"README": b"hello"}, branch="published")
    put(target, FILES)
    found = [git_https.repository.read(path, branch="published") for path in ("README", *FILES)]
    assert found == [b"hello", b"1", b"2"]


def test_a_hook_that_denies_is_told(git_https: GitOverHttps, tmp_path: Path) -> None:
    """libgit2 returns as if all were well; the server's words reach the answer."""
    hook = git_https.repository.path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no pushes on Fridays >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(TargetUnavailable, match="does not let us push"):
        put(over_https(git_https, tmp_path), FILES)
    assert git_https.repository.head("published") is None


def test_a_server_that_is_away_is_unavailable(tmp_path: Path) -> None:
    """The error names it."""
    target = GitTarget(GitAccess(url="https://127.0.0.1:1/fleet.git"), "published", tmp_path / "scratch")
    with pytest.raises(TargetUnavailable, match=r"127\.0\.0\.1:1"):
        target.open()


def test_our_copy_does_not_grow(git_https: GitOverHttps, tmp_path: Path) -> None:
    """libgit2 never repacks: a copy with too much in it is thrown away, and publishing goes on."""
    target = over_https(git_https, tmp_path)
    put(target, FILES)
    loose = next((tmp_path / "scratch").glob("*.git")) / "objects" / "17"
    loose.mkdir(exist_ok=True)
    for number in range(MAX_LOOSE_FOLDER + 1):
        (loose / f"{number:038x}").write_bytes(b"")
    put(target, {"hosts/aa/one": b"1b"})
    assert (loose / f"{0:038x}").exists() is False
    assert git_https.repository.read("hosts/aa/one", branch="published") == b"1b"


def test_a_redirect_gets_no_credentials(git_https: GitOverHttps, tmp_path: Path) -> None:
    """A server that leads to another, which would let us in: nothing is shown there, nothing is pushed."""
    authority = Authority(tmp_path / "ca")
    both = tmp_path / "both.pem"
    both.write_bytes(authority.ca_file.read_bytes() + git_https.ca_pem.read_bytes())
    place = f"https://localhost:{git_https.port}"
    with serving(
        lambda asked: asked.answer(301, headers={"Location": place + asked.target}), authority.server_tls()
    ) as server:
        target = over_https(git_https, tmp_path, url=f"{server.url}/desired.git", ca_file=both)
        with pytest.raises(TargetUnavailable, match="leads to localhost"):
            put(target, FILES)
    assert git_https.requests == []
