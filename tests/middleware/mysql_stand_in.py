"""Stands in for a MySQL that lets one account in: mysql_stand_in.py PORT USER, its password in file `password` here.

It speaks as much of the protocol as a client needs who logs in by mysql_native_password and asks for the version: for
programs that only ask a MySQL, where the real one would take long to start.
"""

import socketserver
import sys
from hashlib import sha1
from pathlib import Path

_SALT = b"abcdefghijklmnopqrst"
_VERSION = b"8.0.0-stand-in"
_CAPABILITIES = (
    0x0008_A209  # long password, connect with database, protocol 41, transactions, secure connection, plugins
)
_AUTOCOMMIT = b"\x02\x00"
_OK = b"\x00\x00\x00" + _AUTOCOMMIT + b"\x00\x00"
_EOF = b"\xfe\x00\x00" + _AUTOCOMMIT


def _greeting() -> bytes:
    low, high = (_CAPABILITIES & 0xFFFF).to_bytes(2, "little"), (_CAPABILITIES >> 16).to_bytes(2, "little")
    head = b"\x0a" + _VERSION + b"\x00" + (1).to_bytes(4, "little") + _SALT[:8] + b"\x00"
    return (
        head + low + b"\x21" + _AUTOCOMMIT + high + b"\x15" + bytes(10) + _SALT[8:] + b"\x00mysql_native_password\x00"
    )


def _proof(password: bytes) -> bytes:
    once = sha1(password, usedforsecurity=False).digest()
    twice = sha1(once, usedforsecurity=False).digest()
    mixed = sha1(_SALT + twice, usedforsecurity=False).digest()
    return bytes(a ^ b for a, b in zip(once, mixed, strict=True))


def _word(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def _row(text: bytes) -> list[bytes]:
    """One row of one column."""
    names = _word(b"def") + _word(b"") * 3 + _word(b"value") + _word(b"")
    column = names + b"\x0c\x21\x00" + (255).to_bytes(4, "little") + b"\xfd\x00\x00\x00\x00\x00"
    return [b"\x01", column, _EOF, _word(text), _EOF]


class Client(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self) -> None:
        """Lets it in, or not, and answers until it goes."""
        self._say([_greeting()], first=0)
        user, _, rest = self._packet()[32:].partition(b"\x00")
        right = _proof(Path("password").read_bytes())
        if user != sys.argv[2].encode() or rest[1 : 1 + len(right)] != right:
            self._say([b"\xff\x15\x04#28000Access denied"], first=2)
            return
        self._say([_OK], first=2)
        while (said := self._packet()) and said[0] != 1:
            self._say(_row(_VERSION) if said[:7].upper() == b"\x03SELECT" else [_OK], first=1)

    def _packet(self) -> bytes:
        head = self.rfile.read(4)
        return self.rfile.read(int.from_bytes(head[:3], "little")) if len(head) == 4 else b""

    def _say(self, packets: list[bytes], first: int) -> None:
        for number, data in enumerate(packets, first):
            self.wfile.write(len(data).to_bytes(3, "little") + bytes([number]) + data)


class Server(socketserver.ThreadingTCPServer):
    """Of clients that come at any time."""

    allow_reuse_address = daemon_threads = True


if __name__ == "__main__":
    with Server(("127.0.0.1", int(sys.argv[1])), Client) as server:
        server.serve_forever()
