"""The interpreter of the self-contained agent: Debian's Python 3.11, its libc and its loader, in one folder."""

import shutil
import subprocess
from pathlib import Path

SUITE = "bookworm"
PACKAGES = ("python3.11-minimal", "libpython3.11-stdlib")
LOADER = "ld-linux-x86-64.so.2"

# Asked for by name at run time, by libc itself or by wheels made for an older libc. Taken from the host they would
# break: they belong to one libc.
_BY_NAME = (
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
    "libm.so.6",
    "libresolv.so.2",
    "libgcc_s.so.1",
)

_NOT_NEEDED = (
    "__phello__",
    "config-3.11-*",
    "curses",
    "dbm",
    "distutils",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "msilib",
    "pydoc_data",
    "sqlite3/test",
    "test",
    "tkinter",
    "turtledemo",
    "unittest",
    "venv",
    "wsgiref",
    "xmlrpc",
    "__pycache__",
    "**/__pycache__",
    "EXTERNALLY-MANAGED",
    "LICENSE.txt",
    "sitecustomize.py",
    "turtle.py",
    # The modules that bring libdb, krb5, tirpc, libcrypt, libuuid, ncurses and readline, or only test others.
    *(f"lib-dynload/{name}.*" for name in ("_crypt", "_curses*", "_dbm", "_uuid", "audioop", "nis", "ossaudiodev")),
    *(f"lib-dynload/{name}.*" for name in ("readline", "_test*", "_xx*", "xx*", "_ctypes_test")),
)


def lay_interpreter(tree: Path, root: Path) -> None:
    """Python and its library from the unpacked packages `tree` into `root`, without what the puller never uses."""
    (root / "bin").mkdir(parents=True)
    shutil.copy(tree / "usr/bin/python3.11", root / "bin/python3.11")
    library = root / "lib/python3.11"
    shutil.copytree(tree / "usr/lib/python3.11", library, symlinks=True)
    for pattern in _NOT_NEEDED:
        for path in library.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for link in (path for path in library.rglob("*") if path.is_symlink()):
        link.unlink()


def lay_libraries(tree: Path, root: Path) -> None:
    """The shared libraries that any program or module below `root` needs, into lib/private, with the loader."""
    private = root / "lib/private"
    private.mkdir()
    source = tree / "usr/lib/x86_64-linux-gnu"
    for name in (LOADER, *_BY_NAME):
        shutil.copy(source / name, private / name)
    for binary in sorted(path for path in root.rglob("*") if is_elf(path)):
        for library in _needed(source, binary):
            if not (private / library.name).exists():
                shutil.copy(library, private / library.name)


def command(root: Path, *arguments: str) -> list[str]:
    """How to run the interpreter below `root`."""
    private, python = root / "lib/private", str(root / "bin/python3.11")
    loader = [str(private / LOADER), "--inhibit-cache", "--library-path", str(private), "--argv0", python]
    return [*loader, python, *arguments]


def is_elf(path: Path) -> bool:
    """Whether a file is a program or a library."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _needed(source: Path, binary: Path) -> list[Path]:
    """The libraries of the packages that the loader finds for a binary. Raises RuntimeError where one is missing."""
    if binary.name == LOADER:
        return []
    asked = [str(source / LOADER), "--inhibit-cache", "--library-path", str(source), "--list", str(binary)]
    said = subprocess.run(asked, capture_output=True, text=True, check=False)
    lines = [line.split() for line in said.stdout.splitlines()]
    missing = [line[0] for line in lines if line[2:4] == ["not", "found"]]
    if said.returncode != 0 or missing:
        raise RuntimeError(f"{binary} needs {' '.join(missing) or said.stderr}, which no package of the list brings")
    found = [Path(line[2]) for line in lines if line[1:2] == ["=>"]]
    return [library for library in found if library.parent.resolve() == source.resolve()]
