"""The host's keys on disk."""

import os
from pathlib import Path

import pytest

from puller.identity import generate_keys, load_keys, store_keys
from puller.ports import Stalled
from tests.puller_edge.conftest import raised


def test_keys_are_loaded_as_they_were_stored(tmp_path: Path) -> None:
    """What was stored is what is loaded."""
    keys = generate_keys()
    store_keys(keys, tmp_path / "keys")
    loaded = load_keys(tmp_path / "keys")
    assert (keys.identity_public, keys.sealing_public) == (loaded.identity_public, loaded.sealing_public)


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    """Folder 0700, files 0600, whatever the umask; and nothing else is left there."""
    old = os.umask(0)
    try:
        store_keys(generate_keys(), tmp_path / "keys")
    finally:
        os.umask(old)
    modes = {path.name: path.stat().st_mode & 0o777 for path in [tmp_path / "keys", *(tmp_path / "keys").iterdir()]}
    assert {"keys": 0o700, "identity": 0o600, "sealing": 0o600} == modes


def test_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    """A key that others can read may be known to them."""
    store_keys(generate_keys(), tmp_path)
    (tmp_path / "identity").chmod(0o640)
    assert "readable by others" in str(raised(Stalled, lambda: load_keys(tmp_path)))


def test_keys_that_are_missing(tmp_path: Path) -> None:
    """The text says to enrol."""
    assert "enrol this host" in str(raised(Stalled, lambda: load_keys(tmp_path)))


@pytest.mark.parametrize("length", [0, 1, 60, 110])
def test_keys_that_are_cut(tmp_path: Path, length: int) -> None:
    """A damaged key is named, not guessed at."""
    store_keys(generate_keys(), tmp_path)
    path = tmp_path / "sealing"
    path.write_bytes(path.read_bytes()[:length])
    assert f"{path} is damaged" in str(raised(Stalled, lambda: load_keys(tmp_path)))


def test_keys_that_are_swapped(tmp_path: Path) -> None:
    """A signing key where the sealing key should be is refused."""
    store_keys(generate_keys(), tmp_path)
    (tmp_path / "sealing").write_bytes((tmp_path / "identity").read_bytes())
    assert "of another kind" in str(raised(Stalled, lambda: load_keys(tmp_path)))


def test_key_behind_a_link_is_refused(tmp_path: Path) -> None:
    """No link is followed to a key."""
    store_keys(generate_keys(), tmp_path)
    (tmp_path / "identity").rename(tmp_path / "elsewhere")
    (tmp_path / "identity").symlink_to(tmp_path / "elsewhere")
    assert "cannot be read" in str(raised(Stalled, lambda: load_keys(tmp_path)))


def test_keys_are_never_shown() -> None:
    """No private key in a log by mistake."""
    assert "HostKeys(…)" == repr(generate_keys())
