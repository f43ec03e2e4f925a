"""How the difference between two documents looks: each line with its tone."""

from collections.abc import Iterable

from msgspec import Struct

TONES = {"+": "add", "-": "del", "@": "at"}


class DiffLine(Struct, frozen=True, kw_only=True):
    """One line; `tone` is empty for what stayed."""

    text: str
    tone: str


def diff_lines(lines: Iterable[str]) -> list[DiffLine]:
    """A unified diff, line by line. Signs stay: colour alone tells nothing."""
    return [DiffLine(text=line, tone=TONES.get(line[:1], "")) for line in lines]
