"""The git source against real servers: what it returns."""

import asyncio

from puller.ports import Stalled, Unchanged
from puller.sources.git import GitSource
from puller.sources.published_tree import MAX_SOURCE_BYTES
from tests.puller_edge.conftest import raised
from tests.puller_edge.git_ways import PATH, fetch, fetched
from tests.servers.git_repository import BareRepository


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
