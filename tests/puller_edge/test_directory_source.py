"""Documents from a folder."""

import asyncio
from pathlib import Path

import pytest

from desired_state.names import digest_of
from puller.ports import Fetched, Unavailable, Unchanged
from puller.sources.directory import DirectorySource
from puller.sources.published_tree import MAX_SOURCE_BYTES, document_path
from tests.puller_edge.conftest import raised

HOST = "web-1.example"


def put(folder: Path, data: bytes) -> Path:
    path = folder / document_path(HOST)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def fetch(folder: Path, tag: str = "") -> Fetched | Unchanged:
    return asyncio.run(DirectorySource(folder, host=HOST).fetch(tag))


def test_document_and_its_digest_as_tag(tmp_path: Path) -> None:
    """The exact bytes come; shown their digest, the source says unchanged; other bytes come again."""
    path = put(tmp_path, b"note\r\n")
    fetched = Fetched(data=b"note\r\n", tag=digest_of(b"note\r\n"), origin=str(path))
    assert fetched == fetch(tmp_path)
    assert Unchanged() == fetch(tmp_path, fetched.tag)
    put(tmp_path, b"other")
    assert Fetched(data=b"other", tag=digest_of(b"other"), origin=str(path)) == fetch(tmp_path, fetched.tag)


def test_no_document_for_this_host(tmp_path: Path) -> None:
    """A folder without this host's file has no document for it."""
    assert Fetched(data=None, origin=str(tmp_path / document_path(HOST))) == fetch(tmp_path)


def test_folder_that_is_away(tmp_path: Path) -> None:
    """A mount that is away does not say that there is no document."""
    assert "is it mounted?" in str(raised(Unavailable, lambda: fetch(tmp_path / "absent")))


@pytest.mark.parametrize("kind", ["folder", "loop"])
def test_document_that_cannot_be_read(tmp_path: Path, kind: str) -> None:
    """What is no readable file is unavailable, and the text names it."""
    path = put(tmp_path, b"x")
    path.unlink()
    path.mkdir() if kind == "folder" else path.symlink_to(path)
    assert f"{path} cannot be read" in str(raised(Unavailable, lambda: fetch(tmp_path)))


def test_too_large_document_is_handed_on_cut(tmp_path: Path) -> None:
    """The acceptance refuses it by its size; memory is not filled."""
    put(tmp_path, b"x" * (MAX_SOURCE_BYTES + 7))
    fetched = fetch(tmp_path)
    assert isinstance(fetched, Fetched)
    assert MAX_SOURCE_BYTES == len(fetched.data or b"")


def test_trust_file_by_version(tmp_path: Path) -> None:
    """Trust files lie beside the documents."""
    (tmp_path / "trust").mkdir()
    (tmp_path / "trust/2.note").write_bytes(b"trust 2")
    source = DirectorySource(tmp_path, host=HOST)
    assert [b"trust 2", None] == [asyncio.run(source.fetch_trust(version)) for version in (2, 3)]
