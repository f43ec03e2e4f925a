"""Which host keys a known_hosts file names for a server, read as ssh reads it."""

import subprocess
from base64 import b64encode
from pathlib import Path

import pytest

from puller.sources.known_hosts import HostKey, host_keys, lines_for


def key(letter: str, kind: str = "ssh-ed25519") -> HostKey:
    blob = len(kind).to_bytes(4, "big") + kind.encode() + b"\0\0\0\x20" + letter.encode() * 32
    return HostKey(type=kind, key=b64encode(blob).decode())


def line(hosts: str, which: HostKey, marker: str = "") -> str:
    return f"{marker} {hosts} {which.type} {which.key} comment\n".lstrip()


A, B = key("a"), key("b", "ssh-rsa")


@pytest.mark.parametrize(
    ("text", "host", "port", "expected"),
    [
        (line("git.test", A), "git.test", 22, (A,)),
        (line("git.test", A), "GIT.test", 22, (A,)),
        (line("git.test", A), "git.test", 2222, ()),
        (line("[git.test]:2222", A), "git.test", 2222, (A,)),
        (line("[git.test]:2222", A), "git.test", 22, ()),
        (line("other.test", A), "git.test", 22, ()),
        (line("xgit.test,git.test,10.0.0.1", A), "git.test", 22, (A,)),
        (line("*.test", A), "git.test", 22, (A,)),
        (line("*.test,!git.test", A), "git.test", 22, ()),
        (line("gi?.test", A), "git.test", 22, (A,)),
        (line("[*.test]:2222", A), "git.test", 2222, (A,)),
        (line("git.test", A) + line("git.test", B), "git.test", 22, (A, B)),
        (line("git.test", A) + line("git.test", A, "@revoked"), "git.test", 22, ()),
        (line("git.test", A, "@cert-authority"), "git.test", 22, ()),
        (f"# comment\n\n{line('git.test', A)}\nbroken", "git.test", 22, (A,)),
        (f"git.test ssh-rsa {A.key}\n", "git.test", 22, ()),
        ("git.test ssh-ed25519 !!!\n", "git.test", 22, ()),
        ("", "git.test", 22, ()),
    ],
)
def test_keys_of_a_server(text: str, host: str, port: int, expected: tuple[HostKey, ...]) -> None:
    """Names, ports, lists, wildcards, exceptions, markers and damaged lines mean what they mean to ssh."""
    assert expected == host_keys(text, host, port)


def test_hashed_names(tmp_path: Path) -> None:
    """Lines hashed by ssh-keygen itself are recognized, and only for their own name."""
    file = tmp_path / "known_hosts"
    file.write_text(line("git.test", A) + line("[git.test]:2222", B))
    subprocess.run(["ssh-keygen", "-H", "-f", file], check=True, capture_output=True)
    text = file.read_text()
    found = [host_keys(text, "git.test", 22), host_keys(text, "git.test", 2222), host_keys(text, "other.test", 22)]
    assert ([(A,), (B,), ()], False) == (found, "git.test" in text)


def test_lines_for_one_server() -> None:
    """What libssh2 gets names one server with its port."""
    assert f"[git.test]:2222 ssh-ed25519 {A.key}\n" == lines_for((A,), "git.test", 2222)
