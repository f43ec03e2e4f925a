"""Holds the power of one VM: mounts its disks and runs systemd-nspawn, and again whenever the VM reboots.

Started as a program in a mount namespace of its own, with a JSON object as its argument (see machine.py). It imports
nothing but the standard library. Standard input is a pipe whose other end the tests hold: where they are gone, killed
even, the VM is switched off.

Its mounts must not be the host's: every nspawn copies those, and would keep a dead VM's file systems busy.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

REBOOT = 133
"""What nspawn ends with when the VM reboots and nobody but us can start it again (--keep-unit)."""


def main() -> int:
    """Until the VM is off; the exit status of its last nspawn."""
    told = json.loads(sys.argv[1])
    threading.Thread(target=_end_with_the_tests, args=(Path(told["groups"][0]),), daemon=True).start()
    while True:
        _mount(told)
        for group in told["groups"]:
            _remove_groups_below(Path(group))
        nspawn = _start(told)
        Path(told["folder"], "supervisor.pid").write_text(str(nspawn.pid))
        status = nspawn.wait()
        print(f"nspawn ended with status {status}", flush=True)
        if status != REBOOT:
            return status
        _unmount(told)


def _start(told: dict[str, Any]) -> subprocess.Popen[bytes]:
    # Each VM has groups of its own, or two would share the group `payload`. It gets a cgroup2 tree, as Debian has on
    # real hardware, also where this machine is hybrid; /tmp is on its disk; and nspawn runs in the VM's network
    # namespace, so that /sys shows that one.
    join = 'for group; do [ "$group" != -- ] || break; echo $$ >"$group/cgroup.procs"; shift; done; shift; exec "$@"'
    environment = {
        "PATH": os.environ["PATH"],
        "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
        "SYSTEMD_NSPAWN_TMPFS_TMP": "0",
    }
    enter = ["nsenter", f"--net=/run/netns/{told['namespace']}", *told["nspawn"]]
    # stdin must not be our pipe: nspawn would hold on to it.
    return subprocess.Popen(
        ["sh", "-c", join, "sh", *told["groups"], "--", *enter], env=environment, stdin=subprocess.DEVNULL
    )


def _mount(told: dict[str, Any]) -> None:
    folder = Path(told["folder"])
    root, store = folder / "root", folder / "store"
    for image in ("disk.img", *told["disks"]):
        _check(folder / image)
    _run("mount", "-o", "loop,errors=remount-ro", str(folder / "disk.img"), str(store))
    for part in ("upper", "work"):
        (store / part).mkdir(exist_ok=True)
    layers = f"lowerdir={told['tree']},upperdir={store}/upper,workdir={store}/work"
    _run("mount", "-t", "overlay", told["machine"], "-o", layers, str(root))
    for image, path in told["disks"].items():
        (root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        _run("mount", "-o", "loop,errors=remount-ro", str(folder / image), str(root / path.lstrip("/")))
    if not (store / "made").exists():
        for path, text in told["files"].items():
            (root / path).write_text(text)
        (store / "made").touch()
        os.sync()


def _check(image: Path) -> None:
    """As a boot does: replays the journal and repairs what is safe to repair."""
    # The kernel lets go of a dead VM's mounts a moment later. A new mount before that would get the old file system.
    deadline = time.monotonic() + 120
    while subprocess.run(["losetup", "-nO", "NAME", "-j", str(image)], capture_output=True, check=True).stdout:
        if time.monotonic() > deadline:
            raise SystemExit(f"{image} is still in use")
        time.sleep(0.05)
    done = subprocess.run(["e2fsck", "-p", str(image)], check=False)
    if done.returncode >= 4:
        raise SystemExit(f"{image} is damaged")


def _unmount(told: dict[str, Any]) -> None:
    folder = Path(told["folder"])
    places = [
        *(f"{folder}/root{path}" for path in reversed(told["disks"].values())),
        f"{folder}/root",
        f"{folder}/store",
    ]
    for place in places:
        if subprocess.run(["umount", place], check=False).returncode != 0:
            _run("umount", "--lazy", place)


def _remove_groups_below(group: Path) -> None:
    """What the VM of before has left; its groups are empty a moment after its end."""
    deadline = time.monotonic() + 5
    below = [Path(found) for found, _, _ in os.walk(group, topdown=False)][:-1]
    while below and time.monotonic() < deadline:
        for folder in below:
            with contextlib.suppress(OSError):
                folder.rmdir()
        below = [folder for folder in below if folder.exists()]
        time.sleep(0.02)


def kill_all(group: Path) -> None:
    """Kills every process of a control group and of those below it, those of other PID namespaces too."""
    if (group / "cgroup.kill").exists():
        with contextlib.suppress(OSError):  # the group is gone
            (group / "cgroup.kill").write_text("1")
        return
    for folder, _, _ in os.walk(group):
        with contextlib.suppress(OSError):
            for pid in Path(folder, "cgroup.procs").read_text().split():
                # 0 is a process that our PID namespace does not see; to kill(2) it is our own process group.
                if pid != "0":
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)


def _end_with_the_tests(group: Path) -> None:
    while os.read(0, 1):
        pass
    while True:
        kill_all(group)
        time.sleep(0.05)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    sys.exit(main())
