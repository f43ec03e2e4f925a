"""The puller's settings: `etc/puller.toml` under the prefix, and `TOWLINE_PULLER_<KEY>` of the environment above it."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from desired_state.document import Url
from desired_state.names import HostName
from puller.durable_file import write_file
from puller.paths import Paths

DEFAULT_PREFIX = Path("/opt/towline")
VARIABLE = "TOWLINE_PULLER_"
PREFIX_VARIABLE = f"{VARIABLE}PREFIX"


class SourceSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where documents come from. `http`: the backend; `git`: `url` and `branch`; `directory`: `path`."""

    type: Literal["http", "git", "directory"] = "http"
    url: str = ""
    branch: str = "published"
    path: Path | None = None
    username: str = ""
    password_file: Path | None = None
    ssh_key_file: Path | None = None
    known_hosts_file: Path | None = None
    ca_file: Path | None = None


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything that can be set. Proxies come from the usual variables (`https_proxy`, `no_proxy`)."""

    host: HostName
    backend_url: Url | Literal[""] = ""
    """Where reports go, and documents and artifacts come from. Empty: reports stay on the host."""
    source: SourceSettings = SourceSettings()
    ca_file: Path | None = None
    """Certificates to trust beside those of the operating system."""
    metrics_dir: Path | None = None
    """node-exporter's textfile folder."""
    artifact_dirs: tuple[Path, ...] = ()
    """Where artifacts may lie already: an image, a mount. `incoming/` under the prefix is always looked into."""


class Misconfigured(Exception):
    """The settings cannot be used. The text has every problem, one a line."""


def load_settings(paths: Paths, environ: Mapping[str, str]) -> Settings:
    """The settings of this prefix. Raises Misconfigured with all problems at once."""
    reader = _Reader(str(paths.settings))
    table = _read(paths.settings)
    reader.merge_environment(table, environ)
    settings = reader.struct(Settings, table, "")
    if isinstance(settings, Settings):
        reader.check_together(settings)
    if reader.problems or not isinstance(settings, Settings):
        raise Misconfigured("\n".join(reader.problems))
    return settings


def store_settings(paths: Paths, settings: Settings) -> None:
    """Writes the settings file. Raises OSError."""
    paths.settings.parent.mkdir(parents=True, exist_ok=True)
    write_file(paths.settings, to_toml(settings).encode(), mode=0o644)


def to_toml(settings: Settings) -> str:
    """The settings as TOML, defaults left out."""
    table: dict[str, Any] = msgspec.to_builtins(settings, enc_hook=str)
    source = table.pop("source", {})
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]
    inner = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in source.items()]
    return "\n".join([*lines, "", "[source]", *inner, ""])


class _Reader:
    """Collects every problem on the way from a table to structs."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._from_environment: set[str] = set()
        self.problems: list[str] = []

    def merge_environment(self, table: dict[str, Any], environ: Mapping[str, str]) -> None:
        """Puts `TOWLINE_PULLER_SOURCE_URL=…` where `[source] url = …` would stand. Unknown names are problems."""
        known = dict(_variables())
        for variable, value in sorted(environ.items()):
            if variable in known:
                *section, key = known[variable].split(".")
                inner = table.setdefault(section[0], {}) if section else table
                if isinstance(inner, dict):
                    inner[key] = value.split(":") if key == "artifact_dirs" else value
                self._from_environment.add(known[variable])
            elif variable.startswith(VARIABLE) and variable != PREFIX_VARIABLE:
                self.problems.append(f"environment: {variable}: there is no such setting")

    def struct(self, kind: type[Struct], table: Mapping[str, Any], path: str) -> Struct | None:
        """The struct in a table, or None with its problems told."""
        known = {field.encode_name: field for field in fields(kind)}
        for key in sorted(table.keys() - known.keys()):
            self._problem(path + key, f"there is no such setting; known here: {', '.join(sorted(known))}")
        values = {key: self._value(known[key].type, table[key], path + key) for key in known.keys() & table.keys()}
        missing = [key for key, field in known.items() if field.required and key not in table]
        for key in missing:
            self._problem(path + key, "must be set; towline-puller enroll writes it")
        return None if missing else kind(**values)

    def check_together(self, settings: Settings) -> None:
        """What no single value shows."""
        source = settings.source
        if source.type == "git" and not source.url:
            self._problem("source.url", "a git source needs the address of its repository")
        if source.type == "directory" and source.path is None:
            self._problem("source.path", "a directory source needs its folder")
        if source.type == "http" and not settings.backend_url:
            self._problem("backend_url", "an http source is the backend: its address must be set")

    def _value(self, kind: Any, value: Any, path: str) -> Any:
        if kind is SourceSettings:
            if isinstance(value, dict):
                return self.struct(SourceSettings, value, f"{path}.") or SourceSettings()
            return self._problem(path, "must be a table: [source]")
        try:
            return msgspec.convert(value, kind, strict=True, dec_hook=_path)
        except msgspec.ValidationError as error:
            return self._problem(path, str(error).partition(" - at ")[0])

    def _problem(self, path: str, message: str) -> None:
        where = self._file
        if path in self._from_environment:
            where, path = "environment", VARIABLE + path.replace(".", "_").upper()
        self.problems.append(f"{where}: {path}: {message}")


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{file}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{file}: is not TOML: {error}") from error


def _path(kind: type, value: object) -> object:
    if kind is not Path or not isinstance(value, str) or not value.startswith("/"):
        raise ValueError("must be an absolute path")
    return Path(value)


def _variables() -> list[tuple[str, str]]:
    top = [field.name for field in fields(Settings) if field.name != "source"]
    inner = [f"source.{field.name}" for field in fields(SourceSettings)]
    return [(VARIABLE + path.replace(".", "_").upper(), path) for path in [*top, *inner]]
