"""Documents in folders and on branches: whole files, one commit a publication, never older over newer."""

import os
from pathlib import Path

import pygit2
import pytest

from api.git_access import GitAccess
from api.publish.directory import DirectoryTarget
from api.publish.git import GitTarget
from api.publish.target import TargetMoved, TargetUnavailable, document_path

BRANCH = "refs/heads/published"


def bare(folder: Path) -> pygit2.Repository:
    """An empty bare repository."""
    return pygit2.init_repository(str(folder), bare=True)


def git_target(tmp_path: Path) -> GitTarget:
    """A target on the branch `published` of a bare repository in tmp_path."""
    bare(tmp_path / "fleet.git")
    return GitTarget(GitAccess(url=str(tmp_path / "fleet.git")), "published", tmp_path / "scratch")


def put(target: GitTarget | DirectoryTarget, files: dict[str, bytes], message: str = "a change") -> str:
    """One publication."""
    door = target.open()
    try:
        return door.put(files, message)
    finally:
        door.close()


def files_on_branch(folder: Path) -> dict[str, bytes]:
    """Every file of the branch, by path."""
    repository = pygit2.Repository(str(folder))

    def walk(tree: pygit2.Tree, prefix: str) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for entry in tree:
            path = f"{prefix}{entry.name}"
            found |= walk(entry, f"{path}/") if isinstance(entry, pygit2.Tree) else {path: entry.data}
        return found

    return walk(repository.references[BRANCH].peel(pygit2.Tree), "")


def test_a_document_lies_in_one_of_256_folders() -> None:
    """The folder is the first two hex digits of the digest of the host's name."""
    assert document_path("web-1.example") == "hosts/2c/web-1.example"


def test_the_first_publication_makes_the_branch(tmp_path: Path) -> None:
    """An empty repository gets the branch with exactly the files."""
    put(git_target(tmp_path), {"hosts/aa/one": b"1", "trust/1.note": b"t"})
    assert files_on_branch(tmp_path / "fleet.git") == {"hosts/aa/one": b"1", "trust/1.note": b"t"}


def test_what_nobody_named_stays(tmp_path: Path) -> None:
    """A publication changes its files and no other, in the same folder too."""
    target = git_target(tmp_path)
    put(target, {"hosts/aa/one": b"1", "hosts/aa/two": b"2", "hosts/bb/three": b"3"})
    put(target, {"hosts/aa/one": b"1b"})
    assert files_on_branch(tmp_path / "fleet.git") == {
        "hosts/aa/one": b"1b",
        "hosts/aa/two": b"2",
        "hosts/bb/three": b"3",
    }


def test_the_commit_carries_the_message(tmp_path: Path) -> None:
    """Who reads the branch's history reads which change of the catalogue it was."""
    put(git_target(tmp_path), {"hosts/aa/one": b"1"}, "Redis 7.2 (alice)")
    repository = pygit2.Repository(str(tmp_path / "fleet.git"))
    assert repository.references[BRANCH].peel(pygit2.Commit).message == "Redis 7.2 (alice)"


def test_files_that_stand_there_already_make_no_commit(tmp_path: Path) -> None:
    """Publishing again what is there is nothing: a crash after the push repeats to the same commit."""
    target = git_target(tmp_path)
    first = put(target, {"hosts/aa/one": b"1"})
    assert put(target, {"hosts/aa/one": b"1"}) == first


def test_a_branch_that_moved_is_not_written(tmp_path: Path) -> None:
    """A commit lands only on the head that was opened: the slower of two publishers is refused and changes nothing."""
    target = git_target(tmp_path)
    put(target, {"hosts/aa/one": b"1"})
    slow = target.open()
    put(target, {"hosts/aa/one": b"newer"})
    with pytest.raises(TargetMoved):
        slow.put({"hosts/aa/one": b"older"}, "late")
    assert files_on_branch(tmp_path / "fleet.git") == {"hosts/aa/one": b"newer"}


def test_a_branch_that_was_made_meanwhile_is_not_written(tmp_path: Path) -> None:
    """The same where the branch was not there when it was opened."""
    target = git_target(tmp_path)
    slow = target.open()
    put(target, {"hosts/aa/one": b"newer"})
    with pytest.raises(TargetMoved):
        slow.put({"hosts/aa/one": b"older"}, "late")
    assert files_on_branch(tmp_path / "fleet.git") == {"hosts/aa/one": b"newer"}


def test_a_repository_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    """The error names the place."""
    target = GitTarget(GitAccess(url=str(tmp_path / "gone.git")), "published", tmp_path / "scratch")
    with pytest.raises(TargetUnavailable, match=r"gone\.git"):
        target.open()


def test_a_folder_gets_the_same_layout(tmp_path: Path) -> None:
    """A directory target writes the files at their paths, readable for a web server."""
    put(DirectoryTarget(tmp_path / "www"), {"hosts/aa/one": b"1"})
    path = tmp_path / "www/hosts/aa/one"
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"1", 0o644)


def test_a_file_that_is_the_same_is_not_written(tmp_path: Path) -> None:
    """An unchanged file keeps its inode, so nothing that watches it wakes."""
    target = DirectoryTarget(tmp_path)
    put(target, {"hosts/aa/one": b"1"})
    before = (tmp_path / "hosts/aa/one").stat().st_ino
    put(target, {"hosts/aa/one": b"1"})
    assert (tmp_path / "hosts/aa/one").stat().st_ino == before


def test_a_folder_is_written_by_one_at_a_time(tmp_path: Path) -> None:
    """While one publisher has the folder open, another is told so."""
    door = DirectoryTarget(tmp_path).open()
    with pytest.raises(TargetUnavailable, match="another publisher"):
        DirectoryTarget(tmp_path).open()
    door.close()


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing half written appears, and no scratch file stays."""
    target = DirectoryTarget(tmp_path)
    put(target, {"hosts/aa/one": b"old"})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TargetUnavailable, match="No space left"):
        put(target, {"hosts/aa/one": b"new"})
    assert {p.name: p.read_bytes() for p in (tmp_path / "hosts/aa").iterdir()} == {"one": b"old"}
