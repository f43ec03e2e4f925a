"""Programs of Debian's suites, put into the layout of upstream's archives. apt checks every signature.

Programs in Go need nothing but a C library, and an older suite's run on a newer one: they are taken as they are. Others
bring their libraries with them (relocating.py). What a program says of its version is proven by the script's `install`.
"""

import re
import subprocess
from pathlib import Path

from tests.middleware.archives import Package, Unavailable, cache_folder, made_archive, package_of
from tests.middleware.relocating import relocated, with_own_loader
from tests.servers.debian_suite import SuiteTree, suite_tree

_SUITES = {
    "node_exporter-1.1.2": "bullseye",
    "node_exporter-1.5.0": "bookworm",
    "node_exporter-1.9.0": "trixie",
    "redis_exporter-1.45.0": "bookworm",
    "redis_exporter-1.69.0": "trixie",
    "mysqld_exporter-0.12.1": "bullseye",
    "mysqld_exporter-0.14.0": "bookworm",
    "mysqld_exporter-0.17.2": "trixie",
    "prometheus-2.42.0": "bookworm",
    "prometheus-2.53.3": "trixie",
    "prometheus-3.5.3": "forky",
    "nginx-1.18.0": "bullseye",
    "nginx-1.22.1": "bookworm",
    "redis-6.0.16": "bullseye",
    "redis-7.0.15": "bookworm",
    "redis-8.0.2": "trixie",
}
_NEWER = frozenset({"trixie"})
"""Than the oldest machine that tests run on: what needs its libraries needs its libc, too."""


def node_exporter_archive(version: str = "1.9.0", cache: Path | None = None) -> Package:
    """node exporter: 1.1.2, 1.5.0 or 1.9.0."""
    return _archive("node_exporter", version, cache, {"node_exporter": "usr/bin/prometheus-node-exporter"})


def redis_exporter_archive(version: str = "1.69.0", cache: Path | None = None) -> Package:
    """redis_exporter: 1.45.0 or 1.69.0."""
    programs = {"redis_exporter": "usr/bin/prometheus-redis-exporter"}
    return _archive("redis_exporter", version, cache, programs, "prometheus-redis-exporter")


def mysqld_exporter_archive(version: str = "0.17.2", cache: Path | None = None) -> Package:
    """mysqld_exporter: 0.12.1, 0.14.0 or 0.17.2."""
    programs = {"mysqld_exporter": "usr/bin/prometheus-mysqld-exporter"}
    return _archive("mysqld_exporter", version, cache, programs, "prometheus-mysqld-exporter")


def prometheus_archive(version: str = "2.53.3", cache: Path | None = None) -> Package:
    """Prometheus with promtool: 2.42.0, 2.53.3 or 3.5.3 (its suite still moves: then another version is asked for)."""
    return _archive("prometheus", version, cache, {"prometheus": "usr/bin/prometheus", "promtool": "usr/bin/promtool"})


def _archive(
    name: str,
    version: str,
    cache: Path | None,
    programs: dict[str, str],
    *packages: str,
) -> Package:
    suite = _suite_of(name, version)
    top = f"{name}-{version}.linux-amd64"
    kept = (cache or cache_folder()) / f"{top}.tar.gz"
    if kept.exists():
        return package_of(name, version, kept)
    tree = _tree(suite, *(packages or ("prometheus", "prometheus-node-exporter")))
    _must_say(tree.path(programs[name]), version, suite)
    files = {place: (tree.path(path).read_bytes(), 0o755) for place, path in programs.items()}
    return made_archive(name, version, files, cache, top=top)


def debian_redis_archive(version: str, cache: Path | None = None) -> Package:
    """Redis with its client: 6.0.16, 7.0.15 or 8.0.2."""
    programs = {"bin/redis-server": "usr/bin/redis-server", "bin/redis-cli": "usr/bin/redis-cli"}
    return _relocated("redis", version, cache, "redis-server", programs)


def debian_nginx_archive(version: str, cache: Path | None = None) -> Package:
    """nginx: 1.18.0 or 1.22.1."""
    return _relocated("nginx", version, cache, "nginx-light", {"sbin/nginx": "usr/sbin/nginx"})


def _relocated(name: str, version: str, cache: Path | None, package: str, programs: dict[str, str]) -> Package:
    suite = _suite_of(name, version)
    kept = (cache or cache_folder()) / f"{name}-{version}.tar.gz"
    if kept.exists():
        return package_of(name, version, kept)
    move = with_own_loader if suite in _NEWER else relocated
    return made_archive(name, version, move(_tree(suite, package), programs, cache), cache)


def _suite_of(name: str, version: str) -> str:
    suite = _SUITES.get(f"{name}-{version}")
    if suite is None:
        raise Unavailable(f"{name} {version}: not known here; known are {', '.join(sorted(_SUITES))}")
    return suite


def _tree(suite: str, *packages: str) -> SuiteTree:
    try:
        return suite_tree(suite, *packages)
    except (RuntimeError, OSError) as error:
        raise Unavailable(f"Debian {suite} cannot be had: {error}") from error


def _must_say(program: Path, version: str, suite: str) -> None:
    """A suite moves on; a package is called by what it holds."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"(?:version|Metrics Exporter) ([0-9]+\.[0-9]+\.[0-9]+)", said.stdout + said.stderr)
    if found is None or found[1] != version:
        raise Unavailable(f"{program.name} of Debian {suite} is {found[1] if found else 'silent'}, not {version}")
