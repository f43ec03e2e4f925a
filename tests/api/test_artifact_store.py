"""Artifacts are kept by content: whole, verified, or not at all."""

from pathlib import Path

import pytest

from api.errors import Refused
from api.publish.artifacts import ArtifactStore
from desired_state.names import digest_of


def test_bytes_are_found_by_their_digest(tmp_path: Path) -> None:
    """What was put is there under the digest that `put` returned."""
    store = ArtifactStore(tmp_path)
    digest = store.put([b"hel", b"lo"])
    path = store.find(digest)
    assert path is not None
    assert (digest, path.read_bytes()) == (digest_of(b"hello"), b"hello")


@pytest.mark.parametrize("expectation", [{"expected": digest_of(b"other")}, {"size": 4}])
def test_other_bytes_than_announced_are_refused(tmp_path: Path, expectation: dict[str, str | int]) -> None:
    """A wrong digest or size keeps nothing, not even a scratch file."""
    with pytest.raises(Refused):
        ArtifactStore(tmp_path).put([b"hello"], **expectation)  # type: ignore[arg-type]
    assert list((tmp_path / "sha256").iterdir()) == []


def test_a_source_that_breaks_off_keeps_nothing(tmp_path: Path) -> None:
    """An error of whoever gives the bytes passes through, and no scratch file stays."""

    def broken() -> object:
        yield b"hel"
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        ArtifactStore(tmp_path).put(broken())  # type: ignore[arg-type]
    assert list((tmp_path / "sha256").iterdir()) == []
