"""Which bytes of a file a request asks for: RFC 9110, section 14. One range; a request for more gets the whole."""

import re
from typing import Literal

from msgspec import Struct

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


class Span(Struct, frozen=True, kw_only=True):
    """Bytes `first` to `last`, both counted, from 0."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.last - self.first + 1


def asked_span(header: str, if_range: str, etag: str, size: int) -> Span | Literal["whole", "unsatisfiable"]:
    """What the Range header asks for. What is malformed is passed over, as the RFC says; so is a stale If-Range."""
    found = _RANGE.fullmatch(header.strip())
    if found is None or found.group() == "bytes=-" or (if_range and if_range != etag):
        return "whole"
    first, last = found.groups()
    if not first:  # the last so many bytes
        length = min(int(last), size)
        return Span(first=size - length, last=size - 1) if length else "unsatisfiable"
    if last and int(last) < int(first):
        return "whole"
    if int(first) >= size:
        return "unsatisfiable"
    return Span(first=int(first), last=min(int(last), size - 1) if last else size - 1)
