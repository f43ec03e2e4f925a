"""What a package file looks like inside: whether a host will unpack it, and whether it holds what its kind runs.

The host judges again, and it is the one that counts (`scripts/common/package.sh`); here a person gets all that is wrong
at once, before a document names the file.
"""

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from msgspec import Struct

MAX_MEMBERS = 50_000
MAX_BYTES = 4 << 30
"""As hosts have it: ARCHIVE_MAX_MEMBERS and ARCHIVE_MAX_BYTES of constant.sh."""
MAX_TOLD = 20
_SETID = 0o6000
_DAMAGED = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, ValueError)

Wanted = Sequence[Sequence[str]]
"""What must be inside: of each group one path, as `fnmatch` has it."""


class Layout(Struct, frozen=True, kw_only=True):
    """What was found. `problems` says why no host would take it; empty: one will."""

    members: int = 0
    size: int = 0
    """Bytes, unpacked."""
    top: str = ""
    """The one folder that all lies in, which is left away on the host; empty where there is none such."""
    problems: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """For people."""
        where = f"below {self.top}/" if self.top else "without a folder around it"
        return f"{self.members} members, {self.size} bytes unpacked, {where}"


def layout_of(path: Path, wanted: Wanted = ()) -> Layout:
    """Reads the table of contents, unpacks nothing. Total: whatever the file is, problems are told, not raised."""
    if path.suffix in (".jar", ".war"):
        return Layout(members=1, size=path.stat().st_size, problems=tuple(_jar_problems(path)))
    members: dict[str, tarfile.TarInfo] = {}
    problems: list[str] = []
    size = count = 0
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                count, size = count + 1, size + member.size
                problems += _member_problems(member)
                members[_plain(member.name)] = member
                if count > MAX_MEMBERS or size > MAX_BYTES or len(problems) > MAX_TOLD:
                    break
    except _DAMAGED as error:
        problems.append(_unreadable(path, error, count))
    problems += _below_links(members)
    if count > MAX_MEMBERS or size > MAX_BYTES:
        problems.append(f"holds more than {MAX_MEMBERS} members or {MAX_BYTES} bytes: hosts unpack no such archive")
    top = _top_of(members)
    if not problems:
        problems += _missing(members, top, wanted)
    return Layout(members=count, size=size, top=top, problems=tuple(problems[:MAX_TOLD]))


def _jar_problems(path: Path) -> Iterator[str]:
    if not zipfile.is_zipfile(path):
        yield "is no jar: it has no table of contents at its end; was it cut off?"


def _unreadable(path: Path, error: Exception, count: int) -> str:
    if count:
        return f"is damaged or cut off after {count} members: {error}"
    if zipfile.is_zipfile(path):
        return "is a zip file, which tar on a host cannot unpack: pack it anew as .tar.gz"
    return f"is no archive that tar can unpack (.tar, .tar.gz, .tar.xz, .tar.bz2): {str(error).splitlines()[0]}"


def _member_problems(member: tarfile.TarInfo) -> Iterator[str]:
    """As `member_is_safe` judges on the host."""
    name = member.name
    if name.startswith("/") or ".." in name.split("/"):
        yield f"{name!r} leads out of the archive"
    if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
        yield f"{name!r} is neither file, folder nor link"
    if member.mode & _SETID and not member.issym():
        yield f"{name!r} has a setuid or setgid bit"
    if member.issym() and not _stays_inside(name, member.linkname):
        yield f"the link {name!r} leads out to {member.linkname!r}"
    if member.islnk() and (member.linkname.startswith("/") or ".." in member.linkname.split("/")):
        yield f"the link {name!r} leads out to {member.linkname!r}"


def _stays_inside(name: str, target: str) -> bool:
    if target.startswith("/"):
        return False
    depth = 0
    for part in [*name.rstrip("/").split("/")[:-1], *target.split("/")]:
        depth += {"": 0, ".": 0, "..": -1}.get(part, 1)
        if depth < 0:
            return False
    return True


def _below_links(members: dict[str, tarfile.TarInfo]) -> Iterator[str]:
    links = {name for name, member in members.items() if member.issym()}
    for name in members:
        above = (name[:at] for at, letter in enumerate(name) if letter == "/")
        yield from (f"{name!r} lies below the link {link!r}" for link in above if link in links)


def _plain(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _top_of(members: dict[str, tarfile.TarInfo]) -> str:
    """As `unpack` takes it: the only thing that is seen there, and a folder."""
    tops = {name.split("/")[0] for name in members if name and not name.startswith(".")}
    if len(tops) != 1:
        return ""
    (top,) = tops
    is_folder = any(name.startswith(f"{top}/") for name in members) or (top in members and members[top].isdir())
    return top if is_folder and not (top in members and members[top].issym()) else ""


def _missing(members: dict[str, tarfile.TarInfo], top: str, wanted: Wanted) -> Iterator[str]:
    inside = {name.removeprefix(f"{top}/") if top else name: member for name, member in members.items()}
    for group in wanted:
        found = [(pattern, name) for pattern in group for name in _matching(inside, pattern)]
        if not found:
            yield f"has no {' and no '.join(group)}" + (f" below {top}/" if top else "")
        elif not any(_runs(inside[name], pattern) for pattern, name in found):
            yield f"{found[0][1]} is not executable"


def _matching(names: Iterable[str], pattern: str) -> list[str]:
    return [name for name in names if name == pattern or fnmatchcase(name, pattern)]


def _runs(member: tarfile.TarInfo, pattern: str) -> bool:
    """A program must be executable; what a pattern with stars names is something else than a program."""
    return "*" in pattern or member.issym() or bool(member.mode & 0o111)
