"""Questions about the members of clusters that are rolled: what is published for them, and what they said last."""

from collections.abc import Collection
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import catalogue_entry, host_document, host_status
from api.moments import moment
from api.publish.rolls import Heard
from api.services.standing import silence_limit_s
from desired_state.catalogue import HostEntry
from desired_state.names import HostName

_HOSTS = 500
"""In one statement: notes are large, and packets are bounded."""
_ENTRY = msgspec.json.Decoder(HostEntry)


async def heard(
    connection: AsyncConnection, hosts: Collection[HostName], *, now: datetime, polls: int, bodies: bool = True
) -> dict[HostName, Heard]:
    """What is known of these hosts. Without `bodies` only what changes with every report of theirs."""
    found: dict[HostName, Heard] = {}
    ordered = sorted(hosts)
    for start in range(0, len(ordered), _HOSTS):
        found |= await _some(connection, ordered[start : start + _HOSTS], now, polls, bodies)
    return found


async def _some(
    connection: AsyncConnection, hosts: list[HostName], now: datetime, polls: int, bodies: bool
) -> dict[HostName, Heard]:
    name = catalogue_entry.c.name
    question = (
        select(
            name,
            catalogue_entry.c.body,
            host_status.c.seq,
            host_status.c.seen_us,
            host_status.c.status if bodies else null().label("status"),
            host_document.c.note if bodies else null().label("note"),
        )
        .outerjoin(host_status, host_status.c.host == name)
        .outerjoin(host_document, host_document.c.host == name)
        .where(catalogue_entry.c.kind == "host", name.in_(hosts))
    )
    return {
        row.name: Heard(
            note=row.note, status=row.status, seq=row.seq or 0, fresh=_is_fresh(row.body, row.seen_us, now, polls)
        )
        for row in await connection.execute(question)
    }


def _is_fresh(entry: bytes, seen_us: int | None, now: datetime, polls: int) -> bool:
    if seen_us is None:
        return False
    limit = timedelta(seconds=silence_limit_s(_ENTRY.decode(entry).poll_interval_s, polls))
    return abs(now - moment(seen_us)) <= limit
