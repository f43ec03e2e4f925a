"""The catalogue of the demo: files in a local git repository, changed by commits like anybody's."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

AUTHOR = {
    "GIT_AUTHOR_NAME": "Ana Operator",
    "GIT_AUTHOR_EMAIL": "ana@example.org",
    "GIT_COMMITTER_NAME": "Ana Operator",
    "GIT_COMMITTER_EMAIL": "ana@example.org",
}


class CatalogueFolder:
    """A working tree that somebody edits."""

    def __init__(self, tree: Path) -> None:
        self.tree = tree

    def write(self, files: Mapping[str, str]) -> None:
        """Writes files of the working tree, by their paths."""
        for name, text in files.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def replace(self, name: str, old: str, new: str) -> None:
        """Edits one file; the old text must be there."""
        path = self.tree / name
        text = path.read_text()
        if old not in text:
            raise ValueError(f"{name} does not hold {old!r}")
        path.write_text(text.replace(old, new))

    def remove(self, name: str) -> None:
        """Takes a file away."""
        (self.tree / name).unlink()


class CatalogueRepository(CatalogueFolder):
    """A bare repository that the backend reads, and a working tree of it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "catalogue-checkout")
        self.bare = folder / "catalogue.git"
        self._environment = {**_without_git(os.environ), **AUTHOR, "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
        bare_repository(self.bare)
        self._git("clone", "--quiet", str(self.bare), str(self.tree), cwd=folder)
        self._git("checkout", "--quiet", "-b", "main")

    def push(self, message: str) -> str:
        """Commits all and pushes to main; the commit's id."""
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", message)
        self._git("push", "--quiet", "origin", "main")
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str, cwd: Path | None = None) -> str:
        return subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.tree,
            env=self._environment,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout


def bare_repository(path: Path) -> None:
    """An empty bare repository."""
    command = ["git", "init", "--quiet", "--bare", "--initial-branch=main", str(path)]
    subprocess.run(command, env={**_without_git(os.environ), "HOME": str(path.parent)}, check=True)


def _without_git(environment: Mapping[str, str]) -> dict[str, str]:
    """A developer's GIT_DIR must not lead us into another repository."""
    return {name: value for name, value in environment.items() if not name.startswith("GIT_")}


def host(name: str, **labels: str) -> str:
    """A host entry; it polls every second so that nobody has to wait."""
    told = ", ".join(f"{key}: {value}" for key, value in labels.items())
    return f"host: {name}\nlabels: {{{told}}}\npoll_interval_s: 1\n"


def service(
    name: str,
    kind: str,
    version: str,
    host: str,
    *,
    packages: Mapping[str, str] | None = None,
    parameters: Mapping[str, object] | None = None,
    state: str = "running",
    depends_on: str = "",
    purge: bool = False,
) -> str:
    """A service entry."""
    lines = [f"service: {name}", f"kind: {kind}", f'version: "{version}"', f"state: {state}", "packages:"]
    lines = lines if packages else lines[:-1]
    lines += [f"  {role}: {package}" for role, package in (packages or {}).items()]
    lines += ["parameters:"] if parameters else []
    lines += [f"  {key}: {_yaml(value)}" for key, value in (parameters or {}).items()]
    lines += [f"placement: {{hosts: [{host}]}}", "health: {interval_s: 5}"]
    lines += [f"depends_on: [{depends_on}]"] if depends_on else []
    lines += ["purge: true"] if purge else []
    return "\n".join(lines) + "\n"


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else '"' + str(value).replace('"', '\\"') + '"'
