"""Disk images with ext4, and what can happen to them."""

import fcntl
import os
import struct
from pathlib import Path

from tests.vm.network import run

_EXT4_IOC_SHUTDOWN = 0x8004587D
_WITHOUT_LOG_FLUSH = 2


def make_ext4(image: Path, size_mib: int) -> None:
    """A sparse file of that size with an empty file system."""
    with image.open("wb") as file:
        file.truncate(size_mib << 20)
    run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", str(image))


def ext4_shutdown(folder: Path) -> None:
    """ext4's own shutdown request without a flush of its journal: what was not synced is lost, every access fails."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, struct.pack("I", _WITHOUT_LOG_FLUSH))
    finally:
        os.close(descriptor)


def break_ext4(image: Path) -> None:
    """An error of the file system: it goes read-only at once, as after an I/O error, also while files are open."""
    device = run("losetup", "-nO", "NAME", "-j", str(image)).split()[0]
    Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error").write_text("fault")
