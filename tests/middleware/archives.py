"""Package files as an operator publishes them, and the folder where they and what they are made of are kept.

Archives are deterministic: the same members make the same bytes, so a package's digest stays what it is.
"""

import gzip
import io
import os
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from msgspec import Struct


class Unavailable(Exception):
    """A package that could not be had; the text says which, from where, and what the client said."""


class Package(Struct, frozen=True, kw_only=True):
    """One package file, with what a catalogue says of it."""

    name: str
    version: str
    path: Path
    digest: str

    @property
    def file(self) -> str:
        """Its original file name."""
        return self.path.name


def cache_folder() -> Path:
    """Where downloads and archives are kept between runs."""
    said = os.environ.get("TOWLINE_TEST_CACHE")
    return Path(said) if said else Path(__file__).resolve().parents[2] / ".cache" / "middleware"


def made_archive(
    name: str, version: str, files: Mapping[str, tuple[bytes, int]], cache: Path | None = None, *, top: str = ""
) -> Package:
    """A tar.gz of files (content and mode by path) below one folder, `<name>-<version>` unless `top` says another.

    A path that ends with a slash is an empty folder.
    """
    folder = cache or cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{top or f'{name}-{version}'}.tar.gz"
    with (
        tempfile.NamedTemporaryFile(dir=folder, prefix=f".{archive.name}.", delete=False) as partial,
        gzip.GzipFile(fileobj=partial, mode="wb", compresslevel=1, mtime=0, filename="") as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(files):
            data, mode = files[path]
            member = tarfile.TarInfo(f"{top or f'{name}-{version}'}/{path}")
            member.size, member.mode = len(data), mode
            if path.endswith("/"):
                member.type = tarfile.DIRTYPE
            tar.addfile(member, io.BytesIO(data))
    Path(partial.name).chmod(0o644)
    Path(partial.name).replace(archive)
    return package_of(name, version, archive)


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip (a jar) of files by path."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def package_of(name: str, version: str, archive: Path) -> Package:
    """The package that a file is."""
    with archive.open("rb") as stream:
        digest = sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    return Package(name=name, version=version, path=archive, digest=f"sha256:{digest.hexdigest()}")
