"""MariaDB and MySQL of Debian's suites, in the layout of upstream's tarballs. apt checks every signature.

| function | versions | holds |
| --- | --- | --- |
| `mariadb_archive` | 10.5.29, 10.11.19, 11.8.9 | `bin/mariadbd`, `mariadb`, `mariadb-upgrade` ...; `share/` |
| `mysql_archive` | 9.7.4 | `bin/mysqld`, `mysql`; `share/`, `lib/plugin/` |

A suite moves on: what a program says of its version is proven when its archive is made.
"""

import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from tests.middleware.archives import Package, Unavailable, cache_folder, made_archive, package_of
from tests.middleware.relocating import relocated, with_own_loader
from tests.servers.debian_suite import SuiteTree, suite_tree


class Source(Struct, frozen=True, kw_only=True):
    """Where one version comes from, and what of it goes where."""

    suite: str
    packages: tuple[str, ...]
    programs: Mapping[str, str]
    share: str
    newer: bool = False
    """Than the machine: its libc comes along."""


_MARIADB = {"bin/mariadbd": "usr/sbin/mariadbd"} | {
    f"bin/{name}": f"usr/bin/{name}" for name in ("mariadb", "mariadb-upgrade", "mariadb-check")
}
_CORE = ("mariadb-server-core", "mariadb-client-core")
_SOURCES = {
    "mariadb-10.5.29": Source(
        suite="bullseye", packages=tuple(f"{name}-10.5" for name in _CORE), programs=_MARIADB, share="usr/share/mysql"
    ),
    "mariadb-10.11.19": Source(suite="bookworm", packages=_CORE, programs=_MARIADB, share="usr/share/mysql"),
    "mariadb-11.8.9": Source(suite="trixie", packages=_CORE, programs=_MARIADB, share="usr/share/mariadb", newer=True),
    "mysql-9.7.4": Source(
        suite="sid",
        packages=("mysql-client-core", "mysql-server-core"),
        programs={"bin/mysqld": "usr/sbin/mysqld", "bin/mysql": "usr/bin/mysql"},
        share="usr/share/mysql",
        newer=True,
    ),
}


def mariadb_archive(version: str = "10.11.19", cache: Path | None = None) -> Package:
    """MariaDB: 10.5.29, 10.11.19 or 11.8.9."""
    return _archive("mariadb", version, cache)


def mysql_archive(version: str = "9.7.4", cache: Path | None = None) -> Package:
    """MySQL 9.7.4: the only one that a suite has."""
    return _archive("mysql", version, cache)


def _archive(name: str, version: str, cache: Path | None) -> Package:
    source = _SOURCES.get(f"{name}-{version}")
    if source is None:
        raise Unavailable(f"{name} {version}: not known here; known are {', '.join(sorted(_SOURCES))}")
    top = f"{name}-{version}-linux-x86_64"
    kept = (cache or cache_folder()) / f"{top}.tar.gz"
    if kept.exists():
        return package_of(name, version, kept)
    try:
        tree = suite_tree(source.suite, *source.packages)
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"Debian {source.suite} cannot be had: {error}") from error
    make = with_own_loader if source.newer else relocated
    files = make(tree, source.programs, cache) | _shared(tree, source)
    _must_say(files, next(iter(source.programs)), version)
    return made_archive(name, version, files, cache, top=top)


def _shared(tree: SuiteTree, source: Source) -> dict[str, tuple[bytes, int]]:
    """Messages in English, character sets and the SQL of the system tables; MySQL's own plugins."""
    share = tree.path(source.share)
    files = {f"share/{path.name}": path for path in share.glob("*.sql")}
    for folder in ("english", "charsets"):
        files |= {f"share/{folder}/{path.name}": path for path in (share / folder).iterdir()}
    if "bin/mysqld" in source.programs:
        plugins = tree.path("usr/lib/mysql/plugin")
        files["lib/plugin/component_validate_password.so"] = plugins / "component_validate_password.so"
    return {place: (path.read_bytes(), 0o644) for place, path in files.items()}


def _must_say(files: Mapping[str, tuple[bytes, int]], program: str, version: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        for place, (data, mode) in files.items():
            if not place.startswith("share/"):
                path = Path(scratch) / place
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                path.chmod(mode)
        command = [str(Path(scratch) / program), "--no-defaults", "--version"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"Ver ([0-9]+\.[0-9]+\.[0-9]+)", said.stdout + said.stderr)
    if found is None or found[1] != version:
        raise Unavailable(f"{program} of {version} says {found[1] if found else said.stderr[-300:]}")
