"""What the kernel says of processes and ports."""

from pathlib import Path

_LISTEN = "0A"


def boot_id() -> str:
    """Which boot this is; empty where the kernel does not say."""
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


def listening_ports() -> frozenset[int]:
    """TCP ports that somebody on this host listens on."""
    return frozenset(port for name in ("tcp", "tcp6") for port in _listening(Path("/proc/net") / name))


def _listening(table: Path) -> list[int]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return []
    rows = (line.split(None, 4) for line in lines)
    return [int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == _LISTEN]
