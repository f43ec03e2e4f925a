"""What changed, by whom, and what it made: changes of the catalogue, and what differs between two documents."""

from collections.abc import Sequence
from difflib import unified_diff

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import snapshot
from api.errors import NotFound
from api.repositories import catalogue, publications
from api.repositories import fleet as hosts
from api.services.catalogue import Change, shown
from api.services.host_detail import DocumentLine, document_line
from desired_state.note import parse_note

DOCUMENTS = 200
ALWAYS_OTHER = ('  "revision": ', '  "issued_at": ', '  "expires_at": ')
"""Lines of a document that differ in any two: its number and its dates."""
ORIGIN = ('  "origin": {', "  },")
"""First and last line of the part that names the change, which the page tells above."""


class RevisionDetail(Struct, frozen=True, kw_only=True):
    """From one document to the next: lines that came, went, and stand around them."""

    entry: DocumentLine
    before: int | None
    """The revision before; None for the first."""
    lines: tuple[str, ...]
    note: str
    """The whole signed text."""


class Newest(Struct, frozen=True, kw_only=True):
    """The change the catalogue is in, and a refused one that came after it."""

    applied: Change | None
    refused: Change | None


async def newest(engine: AsyncEngine) -> Newest:
    """Where the catalogue stands."""
    async with snapshot(engine) as connection:
        head, _ = await publications.head(connection)
        applied = await catalogue.change(connection, head)
        last = await catalogue.newest_change(connection)
    refused = last if last is not None and last.state == "refused" else None
    return Newest(applied=shown(applied) if applied else None, refused=shown(refused) if refused else None)


async def change_detail(engine: AsyncEngine, change_id: int) -> tuple[Change, tuple[DocumentLine, ...]]:
    """One change and the first documents made from it. Raises NotFound."""
    async with snapshot(engine) as connection:
        row = await catalogue.change(connection, change_id)
        if row is None:
            raise NotFound(f"there is no change {change_id}; refused ones are swept after a time")
        documents = await hosts.documents_of_change(connection, change_id, limit=DOCUMENTS)
    return shown(row), tuple(document_line(found) for found in documents)


async def document_list(engine: AsyncEngine, host: str, *, before: int | None, limit: int) -> tuple[DocumentLine, ...]:
    """A host's documents, newest first. Raises NotFound where nobody declared or enrolled the host."""
    async with snapshot(engine) as connection:
        if await hosts.one_host(connection, host) is None:
            raise NotFound(f"no host {host} is declared in the catalogue or enrolled")
        rows = await hosts.documents(connection, host, before=before, limit=limit)
    return tuple(document_line(row) for row in rows)


async def revision_detail(engine: AsyncEngine, host: str, revision: int) -> RevisionDetail:
    """One document beside the one before it. Raises NotFound."""
    async with snapshot(engine) as connection:
        rows = await hosts.documents(connection, host, before=revision + 1, limit=2)
        if not rows or rows[0]["revision"] != revision:
            raise NotFound(f"there is no document {revision} of host {host}; old ones are swept after a time")
        note = await hosts.document_note(connection, host, revision) or b""
        older = rows[1]["revision"] if len(rows) > 1 else None
        old_note = await hosts.document_note(connection, host, older) if older is not None else None
    old = _text(old_note) if old_note else []
    return RevisionDetail(entry=document_line(rows[0]), before=older, lines=_diff(old, _text(note)), note=note.decode())


def _diff(old: Sequence[str], new: Sequence[str]) -> tuple[str, ...]:
    return tuple(unified_diff(old, new, lineterm="", n=6))[2:]


def _text(note: bytes) -> list[str]:
    """The lines that say what the host shall be: without number, dates and origin, which always differ."""
    lines = parse_note(note).text.decode().splitlines()
    first = lines.index(ORIGIN[0])
    last = lines.index(ORIGIN[1], first)
    return [line for line in lines[:first] + lines[last + 1 :] if not line.startswith(ALWAYS_OTHER)]
