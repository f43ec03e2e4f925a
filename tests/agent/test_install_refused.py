"""What agentctl.sh install refuses, with nothing run and nothing left."""

import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from tests.agent import archives
from tests.agent.parts import run
from tests.agent.prefix import archive
from tests.agent.scratch_host import AGENTCTL, Host, new_host, paste, refused
from tests.puller_edge.certificates import Authority


def test_pasted_command_with_a_swapped_script(host: Host) -> None:
    """Whatever somebody serves under the digest of agentctl.sh: it is not run."""
    line = host.offer("1.0")
    host.shop.files[sha256(AGENTCTL).hexdigest()] = b"#!/bin/bash\ntouch %s/hacked\n" % str(host.prefix).encode()
    told = paste(host, line)
    assert (True, [], []) == (told.code != 0, host.files(), host.starts()), told.all
    assert [] == list((host.folder / "tmp").iterdir())


def test_script_that_the_token_does_not_name(host: Host) -> None:
    """A copy that was changed, or is of another version, says so and does nothing."""
    line = host.offer("1.0")
    host.script.write_bytes(AGENTCTL + b"# changed\n")
    refused(host, host.install(line), 6, "is not the one that the join token names")


def test_other_bytes_for_the_archive(host: Host) -> None:
    """The backend, or somebody between, gives other bytes of the same length."""
    line = host.offer("1.0")
    host.shop.files = {name: bytes(len(data)) for name, data in host.shop.files.items()}
    refused(host, host.install(line), 1, "REFUSED")


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


HOSTILE: dict[str, Callable[[Path], Path]] = {
    "leads out": lambda folder: archives.archive(
        folder, archives.release_files(), add=archives.member("../../escaped")
    ),
    "no archive": lambda folder: _written(folder / "text", b"hello"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_archive(host: Host, what: str) -> None:
    """Although the token names it: nothing of it is run or kept."""
    refused(host, host.install(host.invite(HOSTILE[what](host.folder))), 6, "the archive is refused")
    assert [] == list(host.folder.rglob("*escaped*"))


def test_expired_token(host: Host) -> None:
    """Nothing is fetched for it."""
    line = host.invite(archive(host.folder, "1.0"), expires_in=timedelta(minutes=-5))
    refused(host, host.install(line), 5, "the join token expired")


def test_truncated_token(host: Host) -> None:
    """Nothing is asked or fetched for it."""
    refused(host, host.install(host.offer("1.0")[:-9]), 2, "cut off or changed")


def test_man_in_the_middle() -> None:
    """Another certificate in front of the backend: refused before a byte is asked for."""
    theirs = Authority(Path(tempfile.mkdtemp(prefix="towline-ca-")), "Other CA")
    ours = Authority(Path(tempfile.mkdtemp(prefix="towline-ca-")))
    try:
        with new_host(theirs) as (host, server):
            told = host.install(host.offer("1.0"), "--ca-file", str(ours.ca_file))
            refused(host, told, 5, "not vouched for")
            assert [] == server.asked
    finally:
        shutil.rmtree(theirs.ca_file.parent)
        shutil.rmtree(ours.ca_file.parent)


def test_authorities_that_are_none(host: Host) -> None:
    """A file without certificates is a problem like any other, told before anything is done."""
    (host.folder / "none.pem").write_text("hello\n")
    line = host.offer("1.0")
    refused(host, host.install(line, "--ca-file", str(host.folder / "none.pem")), 5, "no file with certificates in PEM")


def test_used_token(host: Host) -> None:
    """The backend refuses it: nothing runs, and the archive need not be fetched again for the next one."""
    told = host.install(host.offer("1.0", "refused"))
    assert (1, True, []) == (told.code, "the backend did not take this host" in told.err, host.starts()), told.err
    assert not (host.prefix / "agent/current").exists()


def test_without_a_token_on_a_fresh_host(host: Host) -> None:
    """It says where one comes from."""
    refused(host, host.install(""), 2, "towline host invite NAME")


def test_method_that_the_archive_is_not_of(host: Host) -> None:
    """Wheels were asked for, the token names the self-contained archive: said, nothing runs."""
    told = host.install(host.offer("1.0"), "--method", "wheels")
    assert (6, True, []) == (told.code, "is self-contained, not wheels" in told.err, host.starts()), told.err


@pytest.mark.parametrize(
    "words",
    [["install", "--token", "x"], ["install", "--from"], ["install", "--prefix", "relative"], ["frobnicate"], [],
     ["stop", "--from", "x"], ["install", "--method", "magic"]],
)  # fmt: skip
def test_wrong_arguments(host: Host, words: list[str]) -> None:
    """Exit 2; a token as an argument is not even an option."""
    told = run(["bash", str(host.script), *words], host.folder)
    assert (2, "") == (told.code, told.out)


@pytest.mark.parametrize("before", [["install"], ["install", "--token-file"], ["install", "--token"], []])
def test_token_as_an_argument_is_not_shown_once_more(host: Host, before: list[str]) -> None:
    """Exit 2, where it belongs, and nothing of its secret in the words."""
    line = host.offer("1.0")
    told = run(["bash", str(host.script), *before, line], host.folder)
    assert (2, "") == (told.code, told.out)
    assert (True, False) == ("belongs on standard input" in told.err, line[20:60] in told.err), told.err


def test_bash_that_is_too_old(host: Host) -> None:
    """It is said first; here every bash is too old for a script that asks for more."""
    host.script.write_bytes(AGENTCTL.replace(b">= 404", b">= 9904"))
    refused(host, host.install(host.offer("1.0")), 5, "must be 4.4 or newer")
