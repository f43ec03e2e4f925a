"""The bundle of service scripts that a document pins: unpacked by rules stricter than tar's, and looked at before use.

An archive holds regular files with plain names, at most three folders deep, and nothing else: no link, no device, so
there is nothing to traverse (tarfile's own filters have been escaped: CVE-2025-4517). Folders and modes are ours. What
lies on disk is compared with the archive, whose digest is in the signed document: a script changed by hand never runs.
"""

import bz2
import gzip
import io
import lzma
import os
import secrets
import shutil
import tarfile
import zlib
from collections.abc import Collection, Iterator
from hashlib import sha256
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from desired_state.bundle_index import read_index
from desired_state.contract import BundleIndex
from desired_state.names import FILE_PATTERN, Digest, digest_of, is_name
from puller.ports import Stalled, Unavailable

MAX_ARCHIVE_BYTES = 16 << 20
MAX_UNPACKED_BYTES = 16 << 20
MAX_FILES = 500
MAX_FOLDERS = 3
INDEX = "kinds.json"

_log = structlog.get_logger("towline.bundles")

_Marks = tuple[int, int, int, int]


class Bundle(Struct, frozen=True, kw_only=True):
    """An unpacked bundle that was equal to its archive when it was opened; `check_bundle` says whether it still is."""

    path: Path
    digest: Digest
    index: BundleIndex
    files: dict[str, Digest]
    """Each file's digest, taken from the verified archive."""
    marks: dict[str, _Marks]
    """What the file system said of each file when its content was compared."""


class BundleDamaged(Exception):
    """What lies on disk is not what the archive holds. Open the bundle again: that puts it right."""


class Bundles:
    """The folder `bundles/`: `<hex>/` unpacked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, archive: Path, digest: Digest) -> Bundle:
        """The bundle of that digest, unpacked from its archive where it is not there or not true.

        Raises Stalled for an archive that is refused, Unavailable when it cannot be written.
        """
        try:
            content = read_archive(archive, digest)
            index = _read_index(content, digest)
            path = self._folder / digest.removeprefix("sha256:")
            files = {name: digest_of(data) for name, data in content.items()}
            return Bundle(
                path=path, digest=digest, index=index, files=files, marks=self._put_right(content, path, files)
            )
        except (OSError, BundleDamaged) as error:
            raise Unavailable(f"the bundle {digest} cannot be unpacked in {self._folder}: {error}") from error

    def _put_right(self, content: dict[str, bytes], path: Path, files: dict[str, Digest]) -> dict[str, _Marks]:
        try:
            return _compare(path, files)
        except BundleDamaged as damage:
            if path.exists():
                _log.warning("bundle damaged on disk, unpacked again", bundle=path.name, reason=str(damage))
        self._unpack(content, path)
        return _compare(path, files)

    def _unpack(self, content: dict[str, bytes], path: Path) -> None:
        self._folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        temporary = self._folder / f".{secrets.token_hex(8)}.tmp"
        try:
            temporary.mkdir(mode=0o755)
            temporary.chmod(0o755)
            # Nothing is synced: what a loss of power leaves is compared with the archive before it is used.
            for name, data in content.items():
                _make_folders(temporary, Path(name).parent)
                (temporary / name).write_bytes(data)
                (temporary / name).chmod(0o555 if name.endswith(".sh") else 0o444)
            self._put(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _put(self, temporary: Path, path: Path) -> None:
        # A damaged one is moved away whole: a bash that still reads a script of it keeps reading the old file.
        aside = self._folder / f".{secrets.token_hex(8)}.tmp"
        if path.is_symlink() or path.exists():
            path.replace(aside)
        temporary.replace(path)
        if aside.is_dir() and not aside.is_symlink():
            shutil.rmtree(aside)
        else:
            aside.unlink(missing_ok=True)

    def sweep(self, used: Collection[Digest]) -> int:
        """Removes every unpacked bundle that is not used, and what a crash left half made. Returns how many."""
        keep = {digest.removeprefix("sha256:") for digest in used}
        gone = [path for path in self._folder.iterdir() if path.name not in keep] if self._folder.is_dir() else []
        for path in gone:
            if path.is_dir() and not path.is_symlink():
                # What another process removes or unpacks at this moment is left to the next sweep.
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return len(gone)


def check_bundle(bundle: Bundle) -> None:
    """Raises BundleDamaged when the folder is not what the archive holds. A stat per file while nothing was touched."""
    _same_names(bundle.path, bundle.files)
    for name, digest in bundle.files.items():
        # ctime cannot be set back: content changed by hand always shows.
        if _marks(bundle.path / name) != bundle.marks[name]:
            _same_content(bundle.path / name, digest)


def read_archive(archive: Path, digest: Digest) -> dict[str, bytes]:
    """Names and bytes in a bundle's archive. Raises Stalled for another digest, and for anything but plain files."""
    data = archive.read_bytes() if archive.stat().st_size <= MAX_ARCHIVE_BYTES else b""
    if digest_of(data) != digest:
        raise Stalled(
            f"the bundle {archive.name} is not {digest} or larger than {MAX_ARCHIVE_BYTES} bytes; it is not used"
        )
    try:
        with tarfile.open(fileobj=io.BytesIO(_decompressed(data)), mode="r:") as tar:
            content = _members(tar)
    except (tarfile.TarError, ValueError, OSError, EOFError, lzma.LZMAError, zlib.error, OverflowError) as error:
        raise Stalled(f"the bundle {digest} is refused: {error}. Publish a sound one") from error
    if INDEX not in content:
        raise Stalled(f"the bundle {digest} is refused: it has no {INDEX}. Publish a sound one")
    return content


def _members(tar: tarfile.TarFile) -> dict[str, bytes]:
    content: dict[str, bytes] = {}
    for member in tar:
        problem = _problem(member, content)
        if problem:
            raise ValueError(f"{member.name[:100]!r} {problem}")
        file = tar.extractfile(member)
        content[member.name] = file.read() if file is not None else b""
    return content


def _problem(member: tarfile.TarInfo, content: dict[str, bytes]) -> str:
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.sparse is not None:
        return "is not a regular file"
    parts = member.name.split("/")
    if len(parts) > MAX_FOLDERS + 1 or not all(is_name(FILE_PATTERN, part) for part in parts):
        return "is not a plain name, at most three folders deep"
    folders = {"/".join(parts[:depth]) for depth in range(1, len(parts))}
    if (
        member.name in content
        or folders & content.keys()
        or any(name.startswith(f"{member.name}/") for name in content)
    ):
        return "is there twice"
    return f"is one file too many: at most {MAX_FILES}" if len(content) >= MAX_FILES else ""


def _decompressed(data: bytes) -> bytes:
    """The plain archive, bounded before tarfile sees it: its headers alone can ask for gigabytes."""
    with _reader(data) as reader:
        plain = reader.read(MAX_UNPACKED_BYTES + 1)
    if len(plain) > MAX_UNPACKED_BYTES:
        raise ValueError(f"it is larger than {MAX_UNPACKED_BYTES} bytes unpacked")
    return plain


def _reader(data: bytes) -> io.BufferedIOBase:
    if data.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=io.BytesIO(data))
    if data.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(io.BytesIO(data))
    if data.startswith(b"BZh"):
        return bz2.BZ2File(io.BytesIO(data))
    return io.BytesIO(data)


def _read_index(content: dict[str, bytes], digest: Digest) -> BundleIndex:
    try:
        read = read_index(content[INDEX])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Stalled(f"the bundle {digest} is refused: {INDEX}: {error}. Publish one made by this version") from error
    for kind, reason in read.unreadable.items():
        _log.warning("kind left out: this puller cannot read it, upgrade it", kind=kind[:60], reason=reason[:300])
    index = read.index
    lost = sorted(kind for kind in index.kinds if f"{kind}ctl.sh" not in content)
    if lost:
        raise Stalled(f"the bundle {digest} is refused: {INDEX} names kinds without a script: {', '.join(lost)[:500]}")
    return index


def _compare(path: Path, files: dict[str, Digest]) -> dict[str, _Marks]:
    _same_names(path, files)
    for name, digest in files.items():
        _same_content(path / name, digest)
    return {name: _marks(path / name) for name in files}


def _same_names(path: Path, files: Collection[str]) -> None:
    try:
        names = {"a link"} if path.is_symlink() else set(_names(path, ""))
    except OSError as error:
        raise BundleDamaged(f"{path}: {error.strerror}") from error
    if names != set(files):
        raise BundleDamaged(f"{path}: other files than in the archive: {sorted(names.symmetric_difference(files))[:5]}")


def _names(path: Path, below: str) -> Iterator[str]:
    """The paths of all that is there; a link to a folder counts as one file, and no bundle has that."""
    with os.scandir(path) as entries:
        for entry in entries:
            name = f"{below}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _names(Path(entry.path), f"{name}/")
            else:
                yield name


def _make_folders(root: Path, folder: Path) -> None:
    for depth in range(1, len(folder.parts) + 1):
        path = root.joinpath(*folder.parts[:depth])
        path.mkdir(exist_ok=True)
        path.chmod(0o755)  # whatever the umask: services run as their own users


def _same_content(path: Path, digest: Digest) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = sha256(file.read(MAX_UNPACKED_BYTES + 1)).hexdigest()
    except OSError as error:
        raise BundleDamaged(f"{path}: {error.strerror}") from error
    if f"sha256:{found}" != digest:
        raise BundleDamaged(f"{path}: its content is not what the archive holds")


def _marks(path: Path) -> _Marks:
    try:
        facts = path.lstat()
    except OSError as error:
        raise BundleDamaged(f"{path}: {error.strerror}") from error
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
