"""The audit log: every change, every refusal at the door.

Appended, never changed; each line carries the hash of the one before, so that a line altered or taken out is noticed by
`first_break`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256

import msgspec
from msgspec import Struct, structs
from sqlalchemy.ext.asyncio import AsyncConnection

from api.moments import micros
from api.repositories import events
from api.repositories.events import EventRow


class Line(Struct, frozen=True, kw_only=True):
    """What is told in one line. `action` is `<noun>.<what happened>`, `subject` is `<noun>/<name>`. No secret belongs
    into `detail`."""

    actor: str
    action: str
    subject: str
    detail: Mapping[str, str] = {}


async def append(
    connection: AsyncConnection,
    *,
    now: datetime,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, str] | None = None,
) -> int:
    """Write one line, in the transaction of what it tells about; returns its number. See Line."""
    line = Line(actor=actor, action=action, subject=subject, detail=detail or {})
    return await append_all(connection, [line], now=now)


async def append_all(connection: AsyncConnection, lines: Sequence[Line], *, now: datetime) -> int:
    """Write these lines, with as many statements as for one; returns the number of the newest line of the log.

    Holds the log's lock until the transaction ends, so it comes last in a unit of work.
    """
    head = await events.lock_head(connection)
    number, hashed = head.event_id, head.hash
    rows = []
    for line in lines:
        number += 1
        row = EventRow(
            id=number,
            at_us=micros(now),
            actor=line.actor[:200],
            action=line.action[:64],
            subject=line.subject[:250],
            detail=msgspec.json.encode(dict(line.detail), order="sorted"),
            prev_hash=hashed,
            hash="",
        )
        hashed = line_hash(row)
        rows.append(structs.replace(row, hash=hashed))
    if rows:
        await events.add(connection, rows)
    return number


def line_hash(row: EventRow) -> str:
    """The hash of a line: over every field of it, and the hash before."""
    fields = [row.id, row.at_us, row.actor, row.action, row.subject, row.detail.decode(), row.prev_hash]
    return sha256(msgspec.json.encode(fields)).hexdigest()


async def first_break(connection: AsyncConnection) -> int | None:
    """The number of the first line that is not what was written, or follows a gap; None when the chain holds.

    Lines that were swept for their age are gone from the beginning: the first one left is the anchor.
    """
    before: EventRow | None = None
    while True:
        rows = await events.after(connection, before.id if before else 0, limit=500)
        for row in rows:
            if line_hash(row) != row.hash:
                return row.id
            if before is not None and (row.id != before.id + 1 or row.prev_hash != before.hash):
                return row.id
            before = row
        if not rows:
            break
    head = await events.read_head(connection)
    if before is None:
        return None if head.event_id == 0 else head.event_id
    return None if (head.event_id, head.hash) == (before.id, before.hash) else before.id + 1
