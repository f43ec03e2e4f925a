"""Secrets out of what a script printed: as they are, and in the forms in which software repeats them."""

import json
import re
import shlex
from base64 import b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from desired_state.names import SecretName

SHORTEST = 6
"""Bytes. What is shorter would be found in every word; the backend takes no shorter secret."""


class StepRedactor:
    """Knows the secrets of one service, each version of them, by name."""

    def __init__(self, values: Iterable[tuple[SecretName, bytes]]) -> None:
        self._names = {form: name for name, value in values for form in _forms(value)}
        longest_first = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, data: bytes) -> bytes:
        """The bytes with `[secret NAME]` in place of each of them."""
        if self._pattern is None:
            return data
        return self._pattern.sub(lambda found: f"[secret {self._names[found[0]]}]".encode(), data)


def _forms(value: bytes) -> Iterator[bytes]:
    whole = {value, value.strip(), *(line.strip() for line in value.splitlines())}
    for part in whole:
        yield from (form for form in _written(part) if len(part) >= SHORTEST and len(form) >= SHORTEST)


def _written(part: bytes) -> Iterator[bytes]:
    text = part.decode("utf-8", "surrogateescape")
    yield part
    yield from (part.hex().encode(), part.hex().upper().encode())
    yield from (quote(part, safe="").encode(), quote(part).encode(), quote_plus(part).encode())
    quoted = (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], shlex.quote(text))
    yield from (form.encode("utf-8", "surrogateescape") for form in quoted)
    yield part.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    for before in range(3):
        yield from _base64(part, before)


def _base64(part: bytes, before: int) -> Iterator[bytes]:
    """What stands in a base64 text for certain when so many bytes are before it, whatever they and those after are."""
    text = b64encode(bytes(before) + part)
    sure = text[(before * 8 + 5) // 6 : (before + len(part)) * 8 // 6]
    yield from (sure, sure.translate(bytes.maketrans(b"+/", b"-_")))
