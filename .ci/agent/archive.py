"""An archive whose bytes depend on nothing but what is in it."""

import gzip
import io
import tarfile
from pathlib import Path

TIME = 1_577_836_800
"""2020-01-01: what every file in the archive is dated."""


def write_archive(root: Path, archive: Path, *, level: int = 9) -> Path:
    """Packs a tree: `release` first (it says what follows), then by name; times, owners and modes fixed."""
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    names.sort(key=lambda name: name != "release")
    part = archive.with_name(archive.name + ".part")
    with (
        part.open("wb") as file,
        gzip.GzipFile("", "wb", level, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in names:
            _add(tar, name, root / name)
    part.rename(archive)
    return archive


def _add(tar: tarfile.TarFile, name: str, path: Path) -> None:
    if path.is_symlink():
        raise RuntimeError(f"{name} is a link: an archive that is unpacked by root on a VM has none")
    member = tarfile.TarInfo(name)
    member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
    member.mtime = TIME
    content = path.read_bytes()
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
