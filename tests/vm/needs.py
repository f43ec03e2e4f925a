"""What a machine must have to boot these VMs. Where something is missing, the session says what and fails.

`python3 tests/vm/needs.py` says before anything is installed whether this machine can ever boot them: it tries what no
package brings, with the standard library and util-linux alone. It ends with 0, or with 1 and the reason.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
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

_PRIVATE = ("unshare", "--mount", "--propagation=private", "sh", "-ec")
_OVERLAY = """
d=$(mktemp -d); mount -t tmpfs towline-try "$d"; mkdir "$d/low" "$d/up" "$d/work" "$d/root"
trap 'umount "$d"; rmdir "$d"' EXIT
mount -t overlay towline-try "$d/root" -o "lowerdir=$d/low,upperdir=$d/up,workdir=$d/work"
umount "$d/root"
"""
_EXT4 = """
d=$(mktemp -d); trap 'rm -r "$d"' EXIT
mkdir "$d/on"; truncate -s 2M "$d/image"; mkfs.ext4 -q -F "$d/image"
mount -o loop "$d/image" "$d/on"; umount "$d/on"
"""
_RULES = """
unshare --net nft -f - <<'END'
table inet towline { chain forward { type filter hook forward priority 0; ct state established accept; }; }
END
"""
_TRIED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("private mounts (a chroot must be a mount of its own: mount --bind DIR DIR)", "", (*_PRIVATE, "true")),
    ("network namespaces", "", ("unshare", "--net", "true")),
    ("overlayfs", "", (*_PRIVATE, _OVERLAY)),
    ("ext4 on a loop device", "mkfs.ext4", (*_PRIVATE, _EXT4)),
    ("firewall rules of nftables", "nft", ("bash", "-ec", _RULES)),
)
"""What is tried: its name, the program without which it cannot be, the command."""
_KINDS = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup")


class NoVirtualMachines(Exception):
    """This machine cannot boot them; the text says all that is missing."""


def cgroup2() -> Path | None:
    """Where the unified control groups are mounted."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        fields = line.split()
        if fields[2] == "cgroup2":
            return Path(fields[1])
    return None


def must_be_had(*, packages: bool = True) -> None:
    """Raises with everything that is missing here. Without `packages`, what these would bring is not counted."""
    missing = list(_programs()) if packages else []
    missing += _missing() if os.geteuid() == 0 else ["root is needed"]
    if missing:
        raise NoVirtualMachines("no VM can be booted here: " + "; ".join(missing))


def _programs() -> Iterator[str]:
    for program, package in PROGRAMS.items():
        if not shutil.which(program):
            yield f"no {program} (Debian: {package})"


def _missing() -> Iterator[str]:
    own = Path("/proc/self")
    if not own.is_symlink() or str(own.readlink()) != str(os.getpid()):
        # Process ids would name other processes there, or none: nsenter finds no /proc/PID/ns.
        yield "/proc is not that of this PID namespace (mount a new one: mount -t proc proc /proc)"
        return
    yield from _groups()
    for what, program, command in _TRIED:
        if not program or shutil.which(program):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                yield f"no {what}: {done.stderr.strip() or f'ended with {done.returncode}'}"
    yield from _entered()


def _groups() -> Iterator[str]:
    root = cgroup2()
    if root is None:
        yield "cgroup2 is not mounted (in a chroot: bind /sys with all below it, mount --rbind)"
        return
    group = root / f"towline-try-{os.getpid()}"
    try:
        group.mkdir()
        group.rmdir()
    except OSError as error:
        yield f"no control group can be made: {error}"


def _entered() -> Iterator[str]:
    """Whether namespaces can be made and entered by somebody else, as a command enters a VM."""
    command = ["unshare", *_KINDS, "--propagation=private", "--fork", "--kill-child", "sh", "-c", "echo there; cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as made:
        assert made.stdout is not None
        assert made.stderr is not None
        if made.stdout.readline() != b"there\n":
            yield f"no namespaces: {made.stderr.read().decode(errors='replace').strip()}"
            return
        inside = _child_of(made.pid)
        done = subprocess.run(
            ["nsenter", f"--target={inside}", *_KINDS, "true"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            yield f"namespaces cannot be entered: {done.stderr.strip()}"


def _child_of(pid: int) -> int:
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(entry.read_text().rpartition(")")[2].split()[1]) == pid:
                return int(entry.parent.name)
        except OSError:  # it has just ended
            continue
    raise NoVirtualMachines(f"no VM can be booted here: /proc does not show the child of process {pid} (hidepid?)")


if __name__ == "__main__":
    try:
        must_be_had(packages=False)
    except NoVirtualMachines as error:
        sys.exit(str(error))
