"""Questions about the members of clusters that are rolled: what is published for them, and what they said last."""

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import Row, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import catalogue_entry, host_document, host_status
from desired_state.names import HostName

_HOSTS = 500
"""In one statement: notes are large, and packets are bounded."""


async def last_words(connection: AsyncConnection, hosts: Collection[HostName], *, bodies: bool) -> list[Row[Any]]:
    """Of each of these hosts in the catalogue: name, entry, seq, seen_us, status, note. Without `bodies` the last two
    are null: only what changes with every report."""
    return [row for some in _parts(sorted(hosts)) for row in await connection.execute(_question(some, bodies))]


def _parts(hosts: list[HostName]) -> Iterator[list[HostName]]:
    return (hosts[start : start + _HOSTS] for start in range(0, len(hosts), _HOSTS))


def _question(hosts: list[HostName], bodies: bool) -> Any:
    name = catalogue_entry.c.name
    return (
        select(
            name,
            catalogue_entry.c.body.label("entry"),
            host_status.c.seq,
            host_status.c.seen_us,
            host_status.c.status if bodies else null().label("status"),
            host_document.c.note if bodies else null().label("note"),
        )
        .outerjoin(host_status, host_status.c.host == name)
        .outerjoin(host_document, host_document.c.host == name)
        .where(catalogue_entry.c.kind == "host", name.in_(hosts))
    )
