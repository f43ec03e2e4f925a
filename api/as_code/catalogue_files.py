"""The catalogue as code: `catalogue/**/*.yaml`, one service, package or host a file, told apart by its first word.

Text becomes entries, strictly, with file, line and field of each problem; and entries become text, for the page's
"as a file" and for moving a catalogue into git. Reading and writing are each other's inverse.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
import yaml
from msgspec import Struct, structs

from api.as_code.yaml_values import Text, read_yaml
from api.reading import Unreadable, read
from api.services.catalogue import Declared, key_of, whole
from desired_state.catalogue import Catalogue, Entry, HostEntry, PackageEntry, Problem, ServiceEntry

FOLDER = "catalogue/"
SUFFIXES = (".yaml", ".yml")
MAX_FILES = 50_000
Files = Mapping[str, bytes]
"""Paths relative to the repository's root, with `/`, and what the files hold."""
_KINDS: dict[str, type[Entry]] = {"service": ServiceEntry, "package": PackageEntry, "host": HostEntry}


class Source(Struct, frozen=True, kw_only=True):
    """Where an entry was read: its file, and the line of each field by pointer."""

    file: str
    lines: dict[str, int]

    def line_of(self, at: str) -> int:
        """The line of that field, or of the nearest thing around it."""
        while at not in self.lines and at:
            at = at.rpartition("/")[0]
        return self.lines.get(at, 1)


class CatalogueRead(Struct, frozen=True, kw_only=True):
    """What the files declare, and everything that is wrong with them one by one."""

    declared: Declared
    sources: dict[tuple[str, str], Source]
    problems: tuple[Problem, ...]
    unread: frozenset[str] = frozenset()
    """Names that files tried to declare and could not."""

    def follows_from_unread(self, problem: Problem) -> bool:
        """Whether it only says that something is missing whose own file has a problem already."""
        missing = re.match(r"there is no \w+ '([^']+)'", problem.message)
        return missing is not None and missing[1] in self.unread

    @property
    def catalogue(self) -> Catalogue:
        """All that was declared, together."""
        return whole(self.declared)

    def located(self, problem: Problem) -> Problem:
        """A problem of the whole catalogue, with the file and line it comes from where that is known."""
        words = problem.pointer.split("/")
        if len(words) < 3:
            return problem
        name = words[2].replace("~1", "/").replace("~0", "~")
        source = self.sources.get((words[1].removesuffix("s"), name))
        if source is None:
            return problem
        field = "".join(f"/{word}" for word in words[3:])
        return structs.replace(problem, pointer=field, file=source.file, line=source.line_of(field))


def read_catalogue(files: Files) -> CatalogueRead:
    """All entries in the catalogue's folder. Problems are in the order of files and lines; nothing is guessed."""
    declared: Declared = {}
    sources: dict[tuple[str, str], Source] = {}
    problems: list[Problem] = []
    unread: set[str] = set()
    paths = sorted(path for path in files if path.startswith(FOLDER))
    if len(paths) > MAX_FILES:
        text = f"holds {len(paths)} files; at most {MAX_FILES} are read"
        return CatalogueRead(declared={}, sources={}, problems=(Problem(pointer="", file=FOLDER, message=text),))
    for path in paths:
        if not path.endswith(SUFFIXES):
            problems += _ignored(path)
            continue
        entry, source, wrong = read_entry(path, files[path])
        problems += wrong
        if entry is None:
            unread |= _names_in(files[path])
            continue
        key = key_of(entry)
        if key in sources:
            problems += _twice(key, sources[key], source)
        declared.setdefault(key, entry)
        sources.setdefault(key, source)
    return CatalogueRead(declared=declared, sources=sources, problems=tuple(problems), unread=frozenset(unread))


def read_entry(file: str, data: bytes) -> tuple[Entry | None, Source, list[Problem]]:
    """The entry in one file, where its fields stand, and what is wrong."""
    text = read_yaml(data)
    source = Source(file=file, lines=text.lines)
    if text.problems:
        return None, source, [structs.replace(problem, file=file) for problem in text.problems]
    try:
        return read(text.value, _kind(text)), source, []
    except Unreadable as error:
        problems = [structs.replace(p, file=file, line=source.line_of(p.pointer)) for p in error.problems]
        return None, source, sorted(problems, key=lambda p: p.line)


def write_entry(entry: Entry) -> str:
    """The text of an entry: its kind and name first, default values left out, texts quoted where readers differ."""
    return yaml.dump(
        msgspec.to_builtins(entry),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=100,
    )


def file_of(entry: Entry) -> str:
    """Where an entry is put that has no file yet."""
    kind, name = key_of(entry)
    return f"{FOLDER}{kind}s/{name}.yaml"


class _Dumper(yaml.SafeDumper):
    """Quotes every text that some reader would take for something else."""


def _text(dumper: _Dumper, text: str) -> Any:
    if "\n" in text and all(character.isprintable() or character == "\n" for character in text):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
    read_back = read_yaml(text.encode())
    plain = not read_back.problems and read_back.value == text
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def _kind(text: Text) -> type[Entry]:
    value = text.value
    kinds = [word for word in value if word in _KINDS] if isinstance(value, dict) else []
    if not kinds:
        message = "declares nothing: it must begin with service:, package: or host:"
        raise Unreadable([Problem(pointer="", message=message)])
    return _KINDS[kinds[0]]


def _names_in(data: bytes) -> set[str]:
    """What a file that cannot be read may have meant to declare."""
    words = dict(re.findall(rb"^(service|package|host|version):\s*[\"']?([A-Za-z0-9._+~-]+)", data, re.MULTILINE))
    found = {words[word].decode() for word in (b"service", b"package", b"host") if word in words}
    if b"package" in words and b"version" in words:
        found.add(f"{words[b'package'].decode()}-{words[b'version'].decode()}")
    return found


def _ignored(path: str) -> list[Problem]:
    name = path.rpartition("/")[2]
    if name.startswith(".") or name.endswith((".md", ".txt")):
        return []
    return [Problem(pointer="", file=path, message="is not read: its name does not end in .yaml", severity="warning")]


def _twice(key: tuple[str, str], first: Source, second: Source) -> list[Problem]:
    field = "/" + key[0]
    return [
        Problem(
            pointer=field,
            file=one.file,
            line=one.line_of(field),
            message=f"{key[0]} {key[1]} is declared here and in {other.file}; keep one",
        )
        for one, other in ((first, second), (second, first))
    ]
