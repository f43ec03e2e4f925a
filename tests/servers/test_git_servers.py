"""The git servers of the tests behave as the real ones do, seen by git itself."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.servers.forward_proxy import ForwardProxy
from tests.servers.git_https import GitOverHttps
from tests.servers.git_ssh import GitOverSsh


def _git(*arguments: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    # This machine may export a CA file or a proxy for git; the test says what holds.
    inherited = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    identity = {f"GIT_{role}_{part}": "t@t.invalid" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    environment = {**inherited, **identity, "HOME": str(cwd), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", **variables}
    return subprocess.run(
        ["git", *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def _ssh(key: Path, known_hosts: str, folder: Path) -> str:
    file = folder / "known_hosts"
    file.write_text(known_hosts)
    return f"ssh -F none -i {key} -o IdentitiesOnly=yes -o UserKnownHostsFile={file} -o StrictHostKeyChecking=yes"


def _with_credentials(url: str, user: str, password: str) -> str:
    return url.replace("https://", f"https://{user}:{password}@")


def test_ssh_serves_and_takes(git_ssh: GitOverSsh, tmp_path: Path) -> None:
    """Over ssh a clone gets what was committed, and a push arrives."""
    git_ssh.repository.commit({"hosts/web-1": b"document"})
    command = _ssh(git_ssh.private_key, git_ssh.known_hosts, tmp_path)
    cloned = _git("clone", git_ssh.url, "clone", cwd=tmp_path, GIT_SSH_COMMAND=command)
    assert (tmp_path / "clone/hosts/web-1").read_bytes() == b"document", cloned.stderr
    (tmp_path / "clone/hosts/web-1").write_text("newer")
    _git("commit", "-am", "newer", cwd=tmp_path / "clone")
    pushed = _git("push", "origin", "main", cwd=tmp_path / "clone", GIT_SSH_COMMAND=command)
    assert git_ssh.repository.read("hosts/web-1") == b"newer", pushed.stderr


@pytest.mark.parametrize(
    ("key", "line", "says"),
    [
        ("stranger_key", "known_hosts", "Permission denied (publickey)"),
        ("private_key", "wrong_known_hosts", "Host key verification failed"),
    ],
)
def test_ssh_refuses(git_ssh: GitOverSsh, tmp_path: Path, key: str, line: str, says: str) -> None:
    """A stranger's key is not let in, and a client that knows another host key goes no further."""
    command = _ssh(getattr(git_ssh, key), getattr(git_ssh, line), tmp_path)
    assert says in _git("ls-remote", git_ssh.url, cwd=tmp_path, GIT_SSH_COMMAND=command).stderr


def test_ssh_gives_no_shell(git_ssh: GitOverSsh, tmp_path: Path) -> None:
    """The key that may fetch may not run a command."""
    command = _ssh(git_ssh.private_key, git_ssh.known_hosts, tmp_path).split()
    port = git_ssh.url.split(":")[2].split("/")[0]
    target = ["-p", port, f"{git_ssh.account}@127.0.0.1", "touch", str(tmp_path / "proof")]
    assert subprocess.run([*command, *target], capture_output=True, timeout=60, check=False).returncode != 0
    assert not (tmp_path / "proof").exists()


def test_https_serves_and_takes(git_https: GitOverHttps, tmp_path: Path) -> None:
    """Over https a clone speaks protocol v2 and gets what was committed, and a push of a megabyte arrives."""
    git_https.repository.commit({"hosts/web-1": b"document"})
    url = _with_credentials(git_https.url, git_https.user, git_https.password)
    ca = {"GIT_SSL_CAINFO": str(git_https.ca_pem)}
    cloned = _git("clone", url, "clone", cwd=tmp_path, **ca)
    assert (tmp_path / "clone/hosts/web-1").read_bytes() == b"document", cloned.stderr
    assert git_https.requests[-1] == "POST /desired.git/git-upload-pack version=2"
    big = os.urandom(2 * 1024 * 1024)
    (tmp_path / "clone/big").write_bytes(big)
    _git("add", "big", cwd=tmp_path / "clone")
    _git("commit", "-m", "big", cwd=tmp_path / "clone")
    pushed = _git("push", "origin", "main", cwd=tmp_path / "clone", **ca)
    assert git_https.repository.read("big") == big, pushed.stderr


def test_https_asks_for_the_password(git_https: GitOverHttps, tmp_path: Path) -> None:
    """A wrong password is refused."""
    url = _with_credentials(git_https.url, git_https.user, "wrong")
    refused = _git("ls-remote", url, cwd=tmp_path, GIT_SSL_CAINFO=str(git_https.ca_pem))
    assert "Authentication failed" in refused.stderr


def test_https_is_trusted_by_its_own_authority_only(git_https: GitOverHttps, tmp_path: Path) -> None:
    """A client that knows the public authorities alone does not talk to this server."""
    url = _with_credentials(git_https.url, git_https.user, git_https.password)
    assert "certificate" in _git("ls-remote", url, cwd=tmp_path).stderr


def test_the_proxy_is_the_only_way(git_https: GitOverHttps, way_out: ForwardProxy, tmp_path: Path) -> None:
    """The private name is reached through the proxy with its credentials, and not without either."""
    commit = git_https.repository.commit({"a": b"1"})
    url = _with_credentials(git_https.url_behind_proxy, git_https.user, git_https.password)
    ca = {"GIT_SSL_CAINFO": str(git_https.ca_pem)}
    assert "Could not resolve host" in _git("ls-remote", url, cwd=tmp_path, **ca).stderr
    assert "407" in _git("ls-remote", url, cwd=tmp_path, https_proxy=way_out.url_without_credentials, **ca).stderr
    assert commit in _git("ls-remote", url, cwd=tmp_path, https_proxy=way_out.url, **ca).stdout
    assert way_out.tunnels == [f"git.towline.test:{git_https.port}"]
