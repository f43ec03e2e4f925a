"""Programs of Debian's suites, put into the layout of upstream's archives. apt checks every signature.

Programs in Go need nothing but a C library, and an older suite's run on a newer one: they are taken as they are.
"""

import re
import subprocess
from pathlib import Path

from tests.middleware.archives import Package, Unavailable, cache_folder, made_archive, package_of
from tests.servers.debian_suite import SuiteTree, suite_tree

_SUITES = {
    "node_exporter-1.1.2": "bullseye",
    "node_exporter-1.5.0": "bookworm",
    "node_exporter-1.9.0": "trixie",
    "prometheus-2.24.1": "bullseye",
    "prometheus-2.42.0": "bookworm",
    "prometheus-2.53.3": "trixie",
}


def node_exporter_archive(version: str = "1.9.0", cache: Path | None = None) -> Package:
    """node exporter: 1.1.2, 1.5.0 or 1.9.0."""
    return _archive("node_exporter", version, cache, {"node_exporter": "usr/bin/prometheus-node-exporter"})


def prometheus_archive(version: str = "2.53.3", cache: Path | None = None) -> Package:
    """Prometheus with promtool: 2.24.1, 2.42.0 or 2.53.3."""
    return _archive("prometheus", version, cache, {"prometheus": "usr/bin/prometheus", "promtool": "usr/bin/promtool"})


def _archive(name: str, version: str, cache: Path | None, programs: dict[str, str]) -> Package:
    suite = _SUITES.get(f"{name}-{version}")
    if suite is None:
        raise Unavailable(f"{name} {version}: not known here; known are {', '.join(sorted(_SUITES))}")
    top = f"{name}-{version}.linux-amd64"
    kept = (cache or cache_folder()) / f"{top}.tar.gz"
    if kept.exists():
        return package_of(name, version, kept)
    tree = _tree(suite)
    _must_say(tree.path(programs[name]), version, suite)
    files = {place: (tree.path(path).read_bytes(), 0o755) for place, path in programs.items()}
    return made_archive(name, version, files, cache, top=top)


def _tree(suite: str) -> SuiteTree:
    try:
        return suite_tree(suite, "prometheus", "prometheus-node-exporter")
    except (RuntimeError, OSError) as error:
        raise Unavailable(f"Debian {suite} cannot be had: {error}") from error


def _must_say(program: Path, version: str, suite: str) -> None:
    """A suite moves on; a package is called by what it holds."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"version ([0-9]+\.[0-9]+\.[0-9]+)", said.stdout + said.stderr)
    if found is None or found[1] != version:
        raise Unavailable(f"{program.name} of Debian {suite} is {found[1] if found else 'silent'}, not {version}")
