"""A file that is there whole or not at all."""

import os
import resource
from pathlib import Path

import pytest

from puller.durable_file import write_file


def test_file_has_its_bytes_and_mode(tmp_path: Path) -> None:
    """Whatever the umask, and nothing else is left in the folder."""
    old = os.umask(0o077)
    try:
        write_file(tmp_path / "a", b"1", mode=0o644)
    finally:
        os.umask(old)
    assert (["a"], b"1", 0o644) == (
        os.listdir(tmp_path),
        (tmp_path / "a").read_bytes(),
        (tmp_path / "a").stat().st_mode & 0o777,
    )


def test_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """A full disk loses neither the old file nor its name, and leaves no temporary file."""
    write_file(tmp_path / "a", b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_file(tmp_path / "a", b"x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (["a"], b"old") == (os.listdir(tmp_path), (tmp_path / "a").read_bytes())


def test_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """Whoever puts a link there gets no file of theirs overwritten."""
    (tmp_path / "target").write_bytes(b"theirs")
    (tmp_path / "a").symlink_to(tmp_path / "target")
    write_file(tmp_path / "a", b"ours")
    assert (b"theirs", False) == ((tmp_path / "target").read_bytes(), (tmp_path / "a").is_symlink())
