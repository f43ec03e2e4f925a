"""One file from a script and its parts: `agentctl.sh` arrives on a fresh VM alone, before anything else is there.

A script takes its parts in with lines of exactly one form, each alone at the margin:

    . "${here:-./}agent/NAME.sh"

Joined, the bytes of each part stand in the place of its line. Nothing else changes: what runs from one file is what
runs from many. A line at the margin that takes in a file of the folder `agent` in another form is refused, because the
joined script would look for that file on a host that does not have it. An indented line stays as it is: it is reached
by the contract face only, which is called from a bundle, where all files lie beside each other.
"""

import re
from collections.abc import Mapping

_LINE = re.compile(rb'^\. "\$\{here:-\./\}(agent/[a-z][a-z0-9_]*\.sh)"$')
_LIKE_IT = re.compile(rb"^(\.|source)\s+\S*agent/")
_DIRECTIVE = re.compile(rb"^\s*# shellcheck source=")


class NotJoinable(ValueError):
    """A script that cannot be made one file. The text names the file, the line and what to do."""


def joined(path: str, scripts: Mapping[str, bytes]) -> bytes:
    """The script `path` and the parts that it takes in, as one. Raises NotJoinable.

    `scripts` holds files by their paths; parts lie in the folder `agent` beside the script.
    """
    folder = path[: path.rfind("/") + 1]
    lines: list[bytes] = []
    taken: set[str] = set()
    for number, line in enumerate(_lines(path, _bytes(path, scripts, "the script")), 1):
        where = f"{path}, line {number}"
        name = _part_of(line, where)
        if not name:
            lines.append(line)
            continue
        if name in taken:
            raise NotJoinable(f"{where}: takes in {name} a second time; once is enough")
        taken.add(name)
        if lines and _DIRECTIVE.match(lines[-1]):
            lines.pop()  # it told shellcheck where the part lies
        lines += _part(folder + name, scripts, where)
    return b"\n".join([*lines, b""])


def _part(path: str, scripts: Mapping[str, bytes], where: str) -> list[bytes]:
    """The lines of a part, as they stand in the joined script."""
    lines = _lines(path, _bytes(path, scripts, where))
    for number, line in enumerate(lines, 1):
        if _part_of(line, f"{path}, line {number}"):
            raise NotJoinable(f"{path}, line {number}: a part takes in no other part; the script does, before it")
    if lines and lines[-1].endswith(b"\\"):
        raise NotJoinable(f"{path}, line {len(lines)}: its end would run on into the line after it")
    return lines[1:] if lines and lines[0].startswith(b"#!") else lines


def _part_of(line: bytes, where: str) -> str:
    """The part that this line takes in; empty for every other line. Raises NotJoinable for one that only looks so."""
    found = _LINE.match(line)
    if found:
        return found[1].decode()
    if _LIKE_IT.match(line):
        wanted = '. "${here:-./}agent/NAME.sh"'
        raise NotJoinable(f"{where}: takes in a part in another form; write exactly {wanted} at the margin")
    return ""


def _bytes(path: str, scripts: Mapping[str, bytes], where: str) -> bytes:
    try:
        return scripts[path]
    except KeyError:
        raise NotJoinable(f"{where}: there is no file {path}") from None


def _lines(path: str, data: bytes) -> list[bytes]:
    """Its lines without their ends. Raises NotJoinable for what bash reads in another way than it is written."""
    for bad, name in ((b"\0", "a zero byte"), (b"\r", "a carriage return")):
        if bad in data:
            number = data[: data.index(bad)].count(b"\n") + 1
            raise NotJoinable(f"{path}, line {number}: holds {name}")
    lines = data.split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines
