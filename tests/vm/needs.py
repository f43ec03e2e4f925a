"""What a machine must have to boot these VMs. Where something is missing, the session says what and fails."""

import os
import shutil
import subprocess
from pathlib import Path

PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nft": "nftables",
    "sysctl": "procps",
    "losetup": "mount",
    "mkfs.ext4": "e2fsprogs",
    "nsenter": "util-linux",
    "gcc": "gcc libc6-dev",
}
"""Programs that are called, and the Debian packages that have them."""


class NoVirtualMachines(Exception):
    """This machine cannot boot them; the text says all that is missing."""


def cgroup2() -> Path | None:
    """Where the unified control groups are mounted."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        fields = line.split()
        if fields[2] == "cgroup2":
            return Path(fields[1])
    return None


def must_be_had() -> None:
    """Raises with everything that is missing here."""
    missing = list(_missing())
    if missing:
        raise NoVirtualMachines("no VM can be booted here: " + "; ".join(missing))


def _missing() -> list[str]:
    if os.geteuid() != 0:
        return ["root is needed"]
    missing = [
        f"no {program} (Debian: {package})" for program, package in PROGRAMS.items() if not shutil.which(program)
    ]
    if cgroup2() is None:
        missing.append("cgroup2 is not mounted")
    for what, command in (
        ("network namespaces", ["unshare", "--net", "true"]),
        (
            "root file system that is a mount (a bare chroot is none)",
            ["unshare", "--mount", "--propagation=private", "true"],
        ),
        ("loop devices", ["losetup", "--find"]),
        ("overlayfs", ["grep", "-qw", "overlay", "/proc/filesystems"]),
        ("ext4", ["grep", "-qw", "ext4", "/proc/filesystems"]),
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            missing.append(f"no {what} {done.stderr.strip()}".strip())
    return missing
