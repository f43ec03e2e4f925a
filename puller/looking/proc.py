"""What the kernel says of processes."""

from functools import cache
from hashlib import sha256
from pathlib import Path


@cache
def boot_id() -> str:
    """Which boot this is, for as long as this process lives; empty where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot (field 22 of its stat); None when it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    fields = stat[stat.rindex(b")") + 2 :].split()  # the name may hold spaces and parentheses
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def command_digest(pid: int) -> str:
    """The sha256 of a process's command line as the kernel tells it, in hex; empty when it is gone."""
    try:
        return sha256(Path(f"/proc/{pid}/cmdline").read_bytes()).hexdigest()
    except OSError:
        return ""
