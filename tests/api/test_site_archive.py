"""`towline package bundle`: all that a site needs, whole, the same bytes each time, or nothing and what is missing."""

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

import msgspec
import pytest
from click.testing import Result

from api.publish.target import document_path
from tests.api.test_publish_commands import REDIS, Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A machine with a catalogue: two packages, one of them used by a service on the host alpha."""
    shell = Shell(tmp_path)
    for version in ("7.2", "8.0"):
        added = add(shell, packed(tmp_path, version), version)
        assert added.exit_code == 0, added.output
    shell.write("services/cache.yaml", REDIS)
    shell.write("hosts/beta.yaml", "host: beta\n")
    shell.run("import")
    shell.run("publish", "--once")
    return shell


def packed(folder: Path, version: str, program: str = "bin/valkey-server") -> Path:
    file = folder / f"valkey-{version}.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        member = tarfile.TarInfo(f"valkey-{version}/{program}")
        member.mode, member.size = 0o755, len(version)
        tar.addfile(member, io.BytesIO(version.encode()))
    return file


def add(shell: Shell, file: Path, version: str, *more: str) -> Result:
    named = ("--name", "valkey", "--version", version, "--write", str(shell.tree))
    return shell.run("package", "add", str(file), *named, *more)


def bundle(shell: Shell, *words: str) -> tuple[Result, Path]:
    file = shell.state.parent / "site.tar"
    return shell.run("package", "bundle", str(file), *words), file


def unpacked(file: Path, folder: Path) -> dict[str, bytes]:
    """As an operator does it; what is there, by name."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["tar", "-xf", str(file), "-C", str(folder)], check=True)
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_holds_all_that_the_catalogue_names(shell: Shell, tmp_path: Path) -> None:
    """Packages, scripts and agentctl.sh by digest and by name, an index, and digests that are right."""
    done, file = bundle(shell)
    assert done.exit_code == 0, done.output
    found = unpacked(file, tmp_path / "mirror")
    index = msgspec.json.decode(found["index.json"])
    assert {"package", "scripts", "agentctl"} == {piece["kind"] for piece in index["files"]}
    for piece in index["files"]:
        data = found[f"sha256/{piece['digest'].removeprefix('sha256:')}"]
        assert (piece["digest"], piece["size"]) == ("sha256:" + hashlib.sha256(data).hexdigest(), len(data))
        assert data == found[f"files/{piece['file']}"]
    used = {piece["name"]: piece["used_by"] for piece in index["files"] if piece["kind"] == "package"}
    assert {"valkey-7.2": ["cache"], "valkey-8.0": []} == used
    assert "sha256:" + hashlib.sha256(file.read_bytes()).hexdigest() == done.stdout.strip().splitlines()[-1]
    assert found["files/agentctl.sh"].startswith(b"#!/usr/bin/env bash")
    assert "no archive of the agent is known" in done.output


def test_the_same_content_makes_the_same_bytes(shell: Shell) -> None:
    """So that two of them can be compared by their digest."""
    _, file = bundle(shell, "--documents")
    first = file.read_bytes()
    bundle(shell, "--documents")
    assert first == file.read_bytes()


@pytest.mark.parametrize("words", [("--host", "alpha"), ("--service", "cache"), ("--host", "alpha", "--host", "beta")])
def test_only_what_some_use(shell: Shell, tmp_path: Path, words: tuple[str, ...]) -> None:
    """The packages of the chosen hosts and services, and no other one."""
    _, file = bundle(shell, *words)
    files = {name for name in unpacked(file, tmp_path / "mirror") if name.startswith("files/valkey")}
    assert {"files/valkey-7.2.tar.gz"} == files


def test_a_host_without_services_needs_no_package(shell: Shell, tmp_path: Path) -> None:
    """Only scripts and agentctl.sh."""
    _, file = bundle(shell, "--host", "beta")
    assert [] == [name for name in unpacked(file, tmp_path / "mirror") if "valkey" in name]


def test_documents_lie_as_they_are_published(shell: Shell, tmp_path: Path) -> None:
    """The same bytes at the same paths as in the published folder, trust notes too; of the chosen hosts only."""
    bundle(shell, "--documents", "--host", "alpha")
    found = unpacked(shell.state.parent / "site.tar", tmp_path / "mirror")
    assert (shell.www / document_path("alpha")).read_bytes() == found[document_path("alpha")]
    assert (shell.www / "trust/1.note").read_bytes() == found["trust/1.note"]
    assert document_path("beta") not in found


def test_what_is_not_at_hand_is_told_and_nothing_is_written(shell: Shell, tmp_path: Path) -> None:
    """Each file, with the command that adds it; the archive that was there stays. A folder with the file will do."""
    _, file = bundle(shell)
    before = file.read_bytes()
    for kept in (shell.state / "artifacts/sha256").iterdir():
        kept.unlink()
    refused, _ = bundle(shell)
    assert (1, before, []) == (refused.exit_code, file.read_bytes(), list(tmp_path.glob("*.part")))
    for version in ("7.2", "8.0"):
        assert f"towline package add valkey-{version}.tar.gz --name valkey --version {version}" in refused.output
    again, _ = bundle(shell, "--from", str(tmp_path))
    assert (0, before) == (again.exit_code, file.read_bytes())


def test_a_damaged_file_is_not_passed_on(shell: Shell, tmp_path: Path) -> None:
    """Bytes are checked while they are written; the archive that was there stays."""
    _, file = bundle(shell)
    before = file.read_bytes()
    kept = shell.state / "artifacts/sha256" / hashlib.sha256((tmp_path / "valkey-8.0.tar.gz").read_bytes()).hexdigest()
    kept.chmod(0o644)
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    refused, _ = bundle(shell)
    assert (1, before, []) == (refused.exit_code, file.read_bytes(), list(tmp_path.glob("*.part")))
    assert "valkey-8.0.tar.gz is damaged where it is kept" in refused.output


def test_unknown_hosts_and_services_are_all_told(shell: Shell) -> None:
    """Nothing is written."""
    refused, file = bundle(shell, "--host", "gamma", "--service", "web", "--service", "mail")
    assert (1, False) == (refused.exit_code, file.exists())
    assert [True] * 3 == [text in refused.output for text in ("/hosts/gamma", "/services/web", "/services/mail")]


def test_a_file_without_the_program_is_not_added(shell: Shell, tmp_path: Path) -> None:
    """With --kind the archive must hold what the kind runs; --unchecked takes it all the same."""
    odd = packed(tmp_path, "9.0", "src/server.c")
    refused = add(shell, odd, "9.0", "--kind", "redis")
    assert (1, True) == (refused.exit_code, "has no bin/redis-server" in refused.output)
    assert not (shell.tree / "catalogue/packages/valkey-9.0.yaml").exists()
    assert 0 == add(shell, odd, "9.0", "--kind", "redis", "--unchecked").exit_code
    good = packed(tmp_path, "9.1")
    added = add(shell, good, "9.1", "--kind", "redis", "--role", "server")
    assert (0, True) == (added.exit_code, "1 members, 3 bytes unpacked, below valkey-9.1/" in added.output)
    for words, told in ((("--kind", "rdis"), "there is no kind rdis"), (("--kind", "kafka"), "(say --role)")):
        assert told in add(shell, good, "9.1", *words).output
