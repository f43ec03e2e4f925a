"""Reading the settings: file and environment to `Settings`, or every problem with its file, key and line."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from api.errors import Misconfigured
from api.settings import Settings

ENVIRONMENT_PREFIX = "TOWLINE_"
CONFIG_VARIABLE = "TOWLINE_CONFIG"
DEFAULT_FILE = Path("/etc/towline/towline.toml")


def load_settings(file: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of this file and environment.

    `file=None` takes `$TOWLINE_CONFIG`, or `/etc/towline/towline.toml` when there is one, or nothing but defaults.
    Relative paths are meant from the file's folder. Raises Misconfigured with all problems, one a line.
    """
    chosen = file or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    if chosen is None and DEFAULT_FILE.exists():
        chosen = DEFAULT_FILE
    text = _read(chosen) if chosen else ""
    reader = _Reader(str(chosen or ""), text, chosen.absolute().parent if chosen else Path.cwd())
    table = _parse(text, str(chosen))
    reader.merge_environment(table, Settings, environ)
    settings = reader.struct(Settings, table, "")
    reader.check_together(settings)
    if reader.problems or settings is None:
        raise Misconfigured("\n".join(reader.problems))
    return settings  # type: ignore[no-any-return]  # struct() is given the type


class _Reader:
    """Collects problems on the way from a table to structs."""

    def __init__(self, file: str, text: str, folder: Path) -> None:
        self._file = file
        self._text = text
        self._folder = folder
        self._from_environment: set[str] = set()
        self.problems: list[str] = []

    def struct(self, kind: type[Struct], table: Mapping[str, Any], path: str) -> Any:
        known = {field.encode_name: field for field in fields(kind)}
        for key in table.keys() - known.keys():
            self._problem(_join(path, key), f"there is no such setting; known here: {', '.join(sorted(known))}")
        values = {}
        for key, field in known.items():
            if key in table:
                values[key] = self._value(field.type, table[key], _join(path, key))
            elif field.required:
                self._problem(_join(path, key), "must be set")
        try:
            return kind(**values)
        except TypeError:  # a required setting is missing, and said so
            return None

    def merge_environment(self, table: dict[str, Any], kind: type[Struct], environ: Mapping[str, str]) -> None:
        """Put `TOWLINE_SERVER_PORT=1` where `[server] port = 1` would stand. Unknown names are problems."""
        names = dict(_variables(kind))
        sections = tuple(f"{ENVIRONMENT_PREFIX}{field.name.upper()}_" for field in fields(kind))
        for variable, value in sorted(environ.items()):
            if variable in names:
                _put(table, names[variable], value)
                self._from_environment.add(".".join(names[variable]))
            elif variable.startswith(sections):
                self.problems.append(f"environment: {variable}: there is no such setting")

    def check_together(self, settings: Any) -> None:
        """What no single value shows; asked when each of them is right."""
        if self.problems or not isinstance(settings, Settings):
            return
        if settings.catalogue.folder is not None and settings.catalogue.git is not None:
            self._problem("catalogue.folder", "set either a folder or [catalogue.git], not both")
        if (settings.server.tls_cert_file is None) != (settings.server.tls_key_file is None):
            self._problem("server.tls_cert_file", "tls_cert_file and tls_key_file go together")

    def _value(self, kind: Any, value: Any, path: str) -> Any:
        struct = next((k for k in _alternatives(kind) if isinstance(k, type) and issubclass(k, Struct)), None)
        if struct is not None:
            if isinstance(value, dict):
                return self.struct(struct, value, path)
            return self._problem(path, f"must be a table: [{path}]")
        try:
            converted = msgspec.convert(value, kind, strict=path not in self._from_environment, dec_hook=self._path)
        except msgspec.ValidationError as error:
            return self._problem(path, str(error).split(" - at ")[0])
        return converted

    def _path(self, kind: type, value: object) -> object:
        if kind is not Path or not isinstance(value, str):
            raise TypeError(f"Expected `str`, got `{type(value).__name__}`")
        return self._folder / Path(value).expanduser()

    def _problem(self, path: str, message: str) -> None:
        if path in self._from_environment:
            self.problems.append(f"environment: {ENVIRONMENT_PREFIX}{path.replace('.', '_').upper()}: {message}")
        else:
            self.problems.append(f"{self._file}:{_line_of(self._text, path)}: {path}: {message}")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{file}: cannot be read: {error}") from error


def _parse(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{file}: is not TOML: {error}") from error


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in {Union, UnionType} else (kind,)


def _variables(kind: type[Struct], path: tuple[str, ...] = ()) -> list[tuple[str, tuple[str, ...]]]:
    found = []
    for field in fields(kind):
        here = (*path, field.encode_name)
        nested = [k for k in _alternatives(field.type) if isinstance(k, type) and issubclass(k, Struct)]
        if nested:
            found += _variables(nested[0], here)
        else:
            found.append((ENVIRONMENT_PREFIX + "_".join(here).upper(), here))
    return found


def _put(table: dict[str, Any], path: tuple[str, ...], value: str) -> None:
    for key in path[:-1]:
        inner = table.setdefault(key, {})
        if not isinstance(inner, dict):
            return  # said by struct(): it must be a table
        table = inner
    table[path[-1]] = value


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _line_of(text: str, path: str) -> int:
    """The line of a key, 1-based; of its table when the key is not there; else the first."""
    section, best = "", 1
    *table, key = path.split(".")
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[([^\[\]]+)\]", line)
        if header:
            section = header.group(1).replace(" ", "")
            if section in {".".join(table), path}:
                best = number
        elif section == ".".join(table) and re.match(rf"\s*{re.escape(key)}\s*=", line):
            return number
    return best
