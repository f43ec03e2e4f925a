"""One file with all that a site without a way out needs: packages, script bundles, the agent, and an index of them.

The same content makes the same bytes. Nothing stands under the file's name that is not whole: it is written beside its
place and put there by one rename, so a call that was cut off leaves the one before, and the next call begins anew.
"""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
from msgspec import Struct

from api.errors import Refused, TryLater
from desired_state.names import Digest, FileName

PART = ".part"
"""Ends the name of what is being written."""
Told = Callable[[int], None]
"""Called with the number of bytes written since the last call."""

README = b"""All that a site without a way out needs, made by `towline package bundle`; index.json says what is inside.

  sha256sum --check --quiet SHA256SUMS     where it was unpacked: is every byte as it was written?

Mirror     unpack it into a folder that a web server of the site serves: files are found at <address>/sha256/<hex>.
           Name the address in [publish] artifact_bases of the backend, or with `agentctl.sh install --from`.
One host   unpack it into <prefix>/incoming of the host (/opt/towline/incoming): nothing of it is fetched then.
Backend    `towline package add files/<file> --name ... --version ...`, with names and versions as in index.json.
Documents  where hosts/ and trust/ are here: a folder for hosts that are enrolled with --directory.
"""


class Piece(Struct, frozen=True, kw_only=True):
    """One file of it."""

    kind: Literal["package", "scripts", "agentctl"]
    file: FileName
    digest: Digest
    size: int
    name: str = ""
    """Of a package: as services name it."""
    package: str = ""
    version: str = ""
    used_by: tuple[str, ...] = ()
    """Services that name the package."""


class Index(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`index.json`."""

    schema: Literal["towline.site/1"] = "towline.site/1"
    files: tuple[Piece, ...]
    hosts: tuple[str, ...] = ()
    """The hosts that it was made for; none named: every one."""
    services: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()


class Contents(Struct, frozen=True, kw_only=True):
    """What goes into it, each piece with its bytes."""

    index: Index
    sources: Mapping[Digest, Path | bytes]
    documents: Mapping[str, bytes] = {}

    @property
    def size(self) -> int:
        """Bytes of the pieces."""
        return sum(piece.size for piece in self._once())

    def _once(self) -> list[Piece]:
        return list({piece.digest: piece for piece in self.index.files}.values())


def write_site_archive(contents: Contents, target: Path, told: Told) -> Digest:
    """Writes it and returns its digest. Raises Refused where a piece is not what the index says, TryLater."""
    part = target.with_name(target.name + PART)
    try:
        with part.open("wb") as file:
            _write(contents, file, told)
            file.flush()
            os.fsync(file.fileno())
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        part.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        raise TryLater(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
    return f"sha256:{digest}"


def _write(contents: Contents, file: BinaryIO, told: Told) -> None:
    pieces = {piece.digest: piece for piece in contents.index.files}
    index = msgspec.json.format(msgspec.json.encode(contents.index, order="deterministic"), indent=2) + b"\n"
    sums = "".join(f"{_hex(digest)}  sha256/{_hex(digest)}\n" for digest in sorted(pieces)).encode()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in (("README", README), ("SHA256SUMS", sums), ("index.json", index)):
            archive.addfile(_member(name, len(data)), io.BytesIO(data))
        for digest, piece in sorted(pieces.items()):
            _add_piece(archive, piece, contents.sources[digest], told)
        for name, digest in _names(contents.index.files):
            archive.addfile(_link(name, f"sha256/{_hex(digest)}"))
        for name, data in sorted(contents.documents.items()):
            archive.addfile(_member(name, len(data)), io.BytesIO(data))


def _add_piece(archive: tarfile.TarFile, piece: Piece, source: Path | bytes, told: Told) -> None:
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as opened:
        hashed = _Hashed(opened, told)
        member = _member(f"sha256/{_hex(piece.digest)}", piece.size)
        try:
            archive.addfile(member, hashed)
        except tarfile.TarError as error:
            raise Refused(_damaged(piece)) from error
        if hashed.hash.hexdigest() != _hex(piece.digest) or opened.read(1):
            raise Refused(_damaged(piece))


def _damaged(piece: Piece) -> str:
    return f"{piece.file} is damaged where it is kept: add it again (towline package add), nothing was written"


class _Hashed(io.RawIOBase):
    """A file that is hashed while it is read."""

    def __init__(self, file: BinaryIO, told: Told) -> None:
        super().__init__()
        self._file, self._told = file, told
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.hash.update(data)
        self._told(len(data))
        return data


def _names(pieces: Sequence[Piece]) -> Iterator[tuple[str, Digest]]:
    """`files/<name>`, for people; two files of one name are told apart by their digest."""
    by_name: dict[str, set[Digest]] = {}
    for piece in pieces:
        by_name.setdefault(piece.file, set()).add(piece.digest)
    for name, digests in sorted(by_name.items()):
        for digest in sorted(digests):
            yield (f"files/{name}" if len(digests) == 1 else f"files/{_hex(digest)[:12]}-{name}"), digest


def _member(name: str, size: int) -> tarfile.TarInfo:
    """Nothing that depends on who packs it, or where, or when."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


def _link(name: str, target: str) -> tarfile.TarInfo:
    member = _member(name, 0)
    member.type, member.linkname = tarfile.LNKTYPE, target
    return member


def _hex(digest: Digest) -> str:
    return digest.removeprefix("sha256:")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
