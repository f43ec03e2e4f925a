"""The control groups of one VM: one in the cgroup2 tree, and one where the host keeps systemd's own v1 tree."""

import contextlib
import os
import time
from pathlib import Path

from tests.vm.needs import NoVirtualMachines, cgroup2
from tests.vm.watch import kill_all


class Groups:
    """Groups below `<tag>-vm/<name>`."""

    def __init__(self, above: str, name: str) -> None:
        root = cgroup2()
        if root is None:
            raise NoVirtualMachines("cgroup2 is not mounted")
        self._own = root / above / name
        legacy = _systemd_v1()
        self._all = [self._own, *([legacy / above / name] if legacy else [])]

    def made(self) -> list[Path]:
        """The groups, made if they are not there."""
        for group in self._all:
            group.mkdir(parents=True, exist_ok=True)
        return self._all

    def commands(self) -> Path:
        """The group of commands that tests run in the VM."""
        group = self._own / "commands"
        group.mkdir(exist_ok=True)
        return group

    def freeze(self, *, on: bool) -> None:
        """Stops every process of the VM, not its nspawn; or lets go. Returns when they stand still."""
        for group in (self._own / "payload", self._own / "commands"):
            if not (group / "cgroup.freeze").exists():
                continue
            (group / "cgroup.freeze").write_text(str(int(on)))
            deadline = time.monotonic() + 5
            while f"frozen {int(on)}" not in (group / "cgroup.events").read_text() and time.monotonic() < deadline:
                time.sleep(0.01)

    def remove(self) -> None:
        """Takes them away, with what lives in them."""
        for group in self._all:
            remove_tree(group)


def remove_all(above: str) -> None:
    """Ends every process in the groups of the VMs below that name, and removes the groups."""
    for root in (cgroup2(), _systemd_v1()):
        if root is not None:
            remove_tree(root / above)


def remove_tree(group: Path) -> None:
    """Ends the processes of a group and of those below it, and removes them, the deepest first."""
    deadline = time.monotonic() + 20
    while group.exists():
        if time.monotonic() > deadline:
            raise RuntimeError(f"the control group {group} is still busy")
        kill_all(group)
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
        time.sleep(0.02)


def _systemd_v1() -> Path | None:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        fields = line.split()
        if fields[2] == "cgroup" and "name=systemd" in fields[3].split(","):
            return Path(fields[1])
    return None
