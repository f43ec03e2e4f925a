"""Where the certificates of authorities are looked for."""

from pathlib import Path

import pytest

from puller.authorities import none_here, openssl_has_authorities, system_ca_file


def test_the_first_bundle_that_exists_is_taken(tmp_path: Path) -> None:
    """Distributions have one or the other; a folder of that name is none."""
    missing, folder, there, later = (tmp_path / name for name in ("missing", "folder", "there", "later"))
    folder.mkdir()
    there.touch()
    later.touch()
    assert there == system_ca_file([missing, folder, there, later])
    assert None is system_ca_file([missing, folder])


@pytest.mark.parametrize(("file", "has"), [("5ed36f99.0", True), ("README", False), ("", False)])
def test_a_folder_counts_when_certificates_are_in_it(
    file: str, has: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL finds files in a folder by the hash in their name; an empty folder is as good as none."""
    if file:
        (tmp_path / file).touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert has == openssl_has_authorities()


def test_only_a_host_without_any_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one bundle exists, an untrusted certificate has another reason."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    bundle = tmp_path / "bundle.pem"
    assert "install the package ca-certificates" in none_here([bundle])
    bundle.touch()
    assert "" == none_here([bundle])
