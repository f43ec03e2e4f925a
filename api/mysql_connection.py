"""A MySQL connection that writes bytes as hexadecimal literals, and plain values without a detour.

The driver's own escaping walks through every byte in Python: 110 µs for a report of 7 KB, which is stored twice. As
hexadecimal the same costs 5 µs, and taking in a report half the CPU. A report is thirty values more; most are numbers
and words in which nothing can be escaped.
"""

import re
from typing import Any

import aiomysql

_PLAIN = re.compile(r"[A-Za-z0-9 .,:_/+=@-]*").fullmatch
"""Text that stands between quotes as it is, in every mode of the server."""


class HexConnection(aiomysql.Connection):  # type: ignore[misc]  # aiomysql has no types
    """aiomysql's connection, but for how bytes are written."""

    def escape(self, obj: object) -> str:
        """A value as it stands in a statement."""
        kind = type(obj)
        if kind is int:
            return str(obj)
        if isinstance(obj, str) and kind is str and _PLAIN(obj):
            return f"'{obj}'"
        if isinstance(obj, bytes):
            return f"x'{obj.hex()}'"
        return str(super().escape(obj))


async def connect(**options: Any) -> HexConnection:
    """An open connection, as `aiomysql.connect` gives one."""
    connection = HexConnection(**options)
    await connection._connect()  # noqa: SLF001 - what aiomysql.connect does, for a class of our own
    return connection
