"""Answers that are files: whole, in part, or unchanged. RFC 9110, sections 13 and 14."""

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from litestar import Request, Response
from litestar.response import Stream

from api.publish.ranges import Span, asked_span
from api.services import artifacts

MEDIA_TYPE = "application/octet-stream"
Counted = Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]


def answer_bytes(
    request: Request[Any, Any, Any],
    content: bytes | Path,
    headers: Mapping[str, str],
    *,
    counted: Counted = lambda chunks: chunks,
) -> Response[Any]:
    """The content, or the part of it that Range asks for; `headers` hold its etag. `counted` sees the chunks pass."""
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    etag, told = headers["etag"], {**headers, "accept-ranges": "bytes"}
    if request.headers.get("if-none-match") == etag:
        return Response(b"", status_code=304, headers=told)
    span = asked_span(request.headers.get("range", ""), request.headers.get("if-range", ""), etag, size)
    if span == "unsatisfiable":
        return Response(b"", status_code=416, headers={**told, "content-range": f"bytes */{size}"})
    part = span if isinstance(span, Span) else Span(first=0, last=size - 1)
    if part is span:
        told["content-range"] = f"bytes {part.first}-{part.last}/{size}"
    told["content-length"] = str(part.length)
    body = counted(artifacts.read_span(content, part)) if request.method == "GET" else ()
    return Stream(body, status_code=206 if part is span else 200, headers=told, media_type=MEDIA_TYPE)
