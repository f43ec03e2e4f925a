"""Builds the agent's archives: python .ci/agent --wheel WHEEL --out FOLDER [--cache FOLDER] [--fresh] [--only WHAT]

The same wheel, constraints and Debian packages give the same bytes. See docs/agent-archive.md.
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from archive import write_archive
from controller import controller
from debian_suite import unpacked
from interpreter import PACKAGES, SUITE, command, lay_interpreter, lay_libraries
from libraries import fetched, lay_site, version_of

HERE = Path(__file__).resolve().parent
CONSTRAINTS = HERE.parent / "constraints.txt"
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")


def main() -> None:
    """Builds what is asked for and prints the path of each archive."""
    asked = _arguments()
    asked.out.mkdir(parents=True, exist_ok=True)
    cache = asked.cache.resolve()
    if asked.fresh:
        shutil.rmtree(cache, ignore_errors=True)
    for name, build in (("self-contained", build_self_contained), ("wheels", build_wheels)):
        if asked.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="towline-agent-") as work:
                root = Path(work) / "root"
                print(write_archive(root, asked.out / build(root, asked.wheel.resolve(), cache), level=asked.level))


def build_self_contained(root: Path, wheel: Path, cache: Path) -> str:
    """Lays the tree of the archive that needs no Python on the VM; returns the archive's name."""
    tree = unpacked(SUITE, cache / f"{SUITE}-{PACKAGES[0]}", *PACKAGES)
    wheels = fetched(cache, CONSTRAINTS, wheel, python="3.11", machine="x86_64")
    lay_interpreter(tree, root)
    lay_site([*wheels, wheel], root / "site")
    shutil.copy(HERE / "self-contained/start.py", root / "site/__main__.py")
    lay_libraries(tree, root)
    # One process that compiles everything in one order, with one hash seed: the same bytes each time.
    compile_all = command(root, "-S", "-s", "-P", "-B", str(HERE / "compiling.py"), str(root))
    subprocess.run(compile_all, env={"PYTHONHASHSEED": "0"}, check=True)
    _lay_contents(tree, wheels, root)
    _lay_common(root, wheel, architecture="x86_64", built_with="self-contained")
    return f"towline-agent-{version_of(wheel)}-linux-x86_64.tar.gz"


def build_wheels(root: Path, wheel: Path, cache: Path) -> str:
    """Lays the tree of the archive for hosts that have Python 3.11 or newer; returns the archive's name."""
    (root / "wheels").mkdir(parents=True)
    for python in PYTHONS:
        for machine in MACHINES:
            for needed in fetched(cache, CONSTRAINTS, wheel, python=python, machine=machine):
                shutil.copy(needed, root / "wheels" / needed.name)
    shutil.copy(wheel, root / "wheels" / wheel.name)
    _lay_common(root, wheel, architecture="any", built_with="wheels")
    return f"towline-agent-{version_of(wheel)}-wheels.tar.gz"


def _lay_common(root: Path, wheel: Path, *, architecture: str, built_with: str) -> None:
    """What every release has: what it is, how it is started, and what keeps it alive."""
    facts = {"name": "towline-agent", "version": version_of(wheel), "architecture": architecture}
    lines = "".join(f"{key}={value}\n" for key, value in {**facts, "built_with": built_with}.items())
    (root / "release").write_text(lines)
    (root / "bin").mkdir(exist_ok=True)
    shutil.copy(HERE / built_with / "towline-puller", root / "bin/towline-puller")
    (root / "ctl").mkdir()
    (root / "ctl/agentctl.sh").write_bytes(controller(wheel))
    (root / "ctl/agentctl.sh").chmod(0o755)


def _lay_contents(tree: Path, wheels: list[Path], root: Path) -> None:
    """Which packages something was taken of, for those who ask after a fault in one; and under which terms.

    A package may not be passed on without its copyright file. Wheels bring theirs.
    """
    (root / "licences").mkdir()
    taken = {path.name for folder in ("bin", "lib/private") for path in (root / folder).iterdir()} | {"os.py"}
    lines = []
    for package in sorted((tree / "packages").iterdir()):
        version, *files = package.read_text().splitlines()
        # A library's name in the archive is that of the link which its package has beside it.
        if any(Path(file.partition(" -> ")[0]).name in taken for file in files):
            lines.append(f"{package.name} {version}")
            shutil.copyfile(tree / "usr/share/doc" / package.name / "copyright", root / "licences" / package.name)
    (root / "contents").write_text("".join(f"{line}\n" for line in [*lines, *(path.name for path in wheels)]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python .ci/agent", description="Builds the agent's archives.")
    parser.add_argument("--wheel", type=Path, required=True, help="the wheel of towline that they are to hold")
    parser.add_argument("--out", type=Path, required=True, help="folder for the archives")
    parser.add_argument("--cache", type=Path, default=HERE.parents[1] / ".cache/agent", help="folder for downloads")
    parser.add_argument("--fresh", action="store_true", help="fetch again: takes Debian's and PyPI's present files")
    parser.add_argument("--only", choices=("self-contained", "wheels"), help="build this one alone")
    parser.add_argument("--level", type=int, default=9, help="how hard gzip tries, 1 to 9")
    return parser.parse_args()


if __name__ == "__main__":
    main()
