"""What goes wrong in a VM: full and read-only file systems, a wrong clock."""

import subprocess
from pathlib import Path

from tests.vm.image import break_ext4
from tests.vm.machine import Machine
from tests.vm.network import run

_FILL = r"""
file=$1/.filled
fallocate -l "$(df -B1 --output=avail "$1" | tail -n 1)" "$file" 2>/dev/null
dd if=/dev/zero of="$file" bs=64k oflag=append conv=notrunc 2>/dev/null
dd if=/dev/zero of="$file" bs=512 oflag=append conv=notrunc 2>/dev/null
sync "$file"
df -B1 --output=avail "$1" | tail -n 1
"""
_SHIFT_FILE = "/etc/clock-shift"
_PRELOADED = "/etc/ld.so.preload"
_LIBRARIES = "/usr/local/lib"


def fill(machine: Machine, path: str) -> int:
    """Fills that file system to the last byte; the bytes that are left, for somebody may free some at this moment.

    Blocks are reserved, not written: the host's disk is safe.
    """
    return int(machine.sh(_FILL, path).out)


def free(machine: Machine, path: str) -> None:
    """Gives back what `fill` took."""
    machine.sh('rm -f "$1/.filled" && sync -f "$1"', path)


def read_only(machine: Machine, path: str, *, on: bool) -> None:
    """Remounts a file system of its own read-only, or writable again. Nobody may write there."""
    machine.run("mount", "-o", f"remount,{'ro' if on else 'rw'}", path)


def break_disk(machine: Machine, path: str = "/") -> None:
    """Its file system goes read-only at once, as after an I/O error. The next boot checks and repairs it."""
    break_ext4(machine.folder / ("disk.img" if path == "/" else machine.disks[path]))


def shift_clock(machine: Machine, seconds: int, *, library: Path) -> None:
    """Every dynamically linked program of the VM sees the wall clock so many seconds ahead (0: right again).

    By a preloaded library (clockshift.c): the kernel's clock is the host's. PID 1 keeps the right time, and so do file
    times; monotonic time does not move.
    """
    machine.write(_SHIFT_FILE, f"{seconds}\n")
    _preload(machine, library if seconds else None)


def pretend_open_files(machine: Machine, *, library: Path) -> None:
    """Each Java of the VM is told that it may open 65536 files (openfiles.c); the true limit is the host's."""
    _preload(machine, library)


def _preload(machine: Machine, library: Path | None) -> None:
    if library is not None:
        machine.copy(library, f"{_LIBRARIES}/{library.name}")
    machine.write(_PRELOADED, f"{_LIBRARIES}/{library.name}\n" if library is not None else "")


def build_library(folder: Path, name: str) -> Path:
    """Compiles that source of this folder; the file."""
    library = folder / f"{name}.so"
    if not library.exists():
        source = Path(__file__).with_name(f"{name}.c")
        run("gcc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(source))
        library.chmod(0o755)
    return library


def talk(process: "subprocess.Popen[bytes]", *, timeout_s: float = 300) -> tuple[int, str]:
    """The end of a command that `Machine.start` began: status and what it printed."""
    out, _ = process.communicate(timeout=timeout_s)
    return process.returncode, out.decode("utf-8", "replace")
