"""A small disk of a test's own, that can be filled and made read-only: tmpfs in a private mount namespace.

Nothing of the machine's own disks is touched, and the mount ends with the last process that uses it. Needs root (or
user namespaces that may mount).
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class SmallDisk:
    """`mount` is where it lies for processes that `run` and `start` begin; `outside` shows it to the test."""

    def __init__(self, mount: Path, keeper: int) -> None:
        self.mount = mount
        self.outside = Path(f"/proc/{keeper}/root{mount}")
        self._keeper = keeper

    def command(self, command: Sequence[str | Path]) -> list[str]:
        """The command, in the namespace of the disk."""
        return ["nsenter", f"--mount=/proc/{self._keeper}/ns/mnt", f"--wd={os.getcwd()}", *map(str, command)]

    def remount(self, options: str) -> None:
        """Such as `ro`, `rw`, `size=16m`."""
        subprocess.run(self.command(["mount", "-o", f"remount,{options}", self.mount]), check=True)

    def fill(self) -> None:
        """To the last byte."""
        with (self.outside / "filler").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                return

    def empty(self) -> None:
        """There is room again."""
        (self.outside / "filler").unlink()


def may_mount() -> bool:
    """Whether this machine lets us."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return False
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


@contextmanager
def small_disk(mount: Path, *, size: str = "8m", inodes: int = 4000) -> Iterator[SmallDisk]:
    """An empty one for the length of the block."""
    mount.mkdir(parents=True)
    script = f'mount --make-rprivate / && mount -t tmpfs -o size={size},nr_inodes={inodes} small "$0" && echo up && cat'
    keeper = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", script, str(mount)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert keeper.stdout is not None
    assert keeper.stdin is not None
    assert b"up\n" == keeper.stdout.readline()
    try:
        yield SmallDisk(mount, keeper.pid)
    finally:
        keeper.stdin.close()
        keeper.wait(timeout=10)
        keeper.stdout.close()
