"""TCP ports that somebody on this host listens on: one question to the kernel.

/proc/net/tcp walks every connection of the host (milliseconds on a busy one); sock_diag(7) is asked for listeners only.
"""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_DONE, _ERROR = 3, 2
_LISTEN = 10
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBBI48s")
_TIMEOUT_S = 2.0


def listening_ports() -> frozenset[int]:
    """The ports, over IPv4 and IPv6."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as kernel:
            kernel.settimeout(_TIMEOUT_S)
            return frozenset(port for family in (socket.AF_INET, socket.AF_INET6) for port in _ask(kernel, family))
    except OSError:  # a kernel or a sandbox without it
        return frozenset(port for name in ("tcp", "tcp6") for port in _from_table(Path("/proc/net") / name))


def _ask(kernel: socket.socket, family: int) -> Iterator[int]:
    body = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, 1 << _LISTEN, b"")
    kernel.send(_HEADER.pack(_HEADER.size + len(body), _SOCK_DIAG_BY_FAMILY, _DUMP, 0, 0) + body)
    while True:
        data = memoryview(kernel.recv(1 << 16))
        while len(data) >= _HEADER.size:
            length, kind, *_ = _HEADER.unpack_from(data)
            if kind == _DONE:
                return
            if kind == _ERROR or length < _HEADER.size:
                raise OSError("sock_diag is not answered")
            # struct inet_diag_msg: family, state, timer, retrans, then the source port in network order
            yield int.from_bytes(data[_HEADER.size + 4 : _HEADER.size + 6], "big")
            data = data[(length + 3) & ~3 :]


def _from_table(table: Path) -> list[int]:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return []
    rows = (line.split(None, 4) for line in lines)
    return [int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"]
