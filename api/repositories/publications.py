"""Questions about what is published, and what it is made of."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import (
    bundle,
    catalogue_change,
    catalogue_entry,
    catalogue_head,
    change_feed,
    document,
    generation,
    host_document,
    host_override,
    publication,
)
from api.moments import micros, moment
from api.publish.bundle import Bundle
from api.publish.issue import HostMode, Issued, Published
from api.publish.rolls import Hold
from desired_state.catalogue import Catalogue, HostEntry, PackageEntry, ServiceEntry
from desired_state.contract import BundleIndex
from desired_state.document import Origin
from desired_state.names import HostName

_STRUCTS: dict[str, type[ServiceEntry | PackageEntry | HostEntry]] = {
    "service": ServiceEntry,
    "package": PackageEntry,
    "host": HostEntry,
}
_ROWS = 500
"""Rows in one statement: a note may be large, and packets are bounded."""


async def catalogue(connection: AsyncConnection) -> Catalogue:
    """All that is declared."""
    entries: dict[str, list[Any]] = {kind: [] for kind in _STRUCTS}
    rows = await connection.execute(select(catalogue_entry.c.kind, catalogue_entry.c.body))
    for kind, body in rows:
        if kind in _STRUCTS:
            entries[kind].append(msgspec.json.decode(body, type=_STRUCTS[kind]))
    return Catalogue(
        services=tuple(entries["service"]), packages=tuple(entries["package"]), hosts=tuple(entries["host"])
    )


async def head(connection: AsyncConnection) -> tuple[int, Origin]:
    """The newest applied change of the catalogue; 0 where there is none yet."""
    row = (
        await connection.execute(
            select(catalogue_change.c.id, catalogue_change.c.ref, catalogue_change.c.author, catalogue_change.c.summary)
            .join(catalogue_head, catalogue_head.c.change_id == catalogue_change.c.id)
            .where(catalogue_head.c.id == 1)
        )
    ).first()
    if row is None:
        return 0, Origin(change="change-0")
    return row.id, Origin(change=row.ref, author=row.author, summary=row.summary)


async def modes(connection: AsyncConnection) -> dict[HostName, HostMode]:
    """What was said of hosts on the page."""
    columns = (host_override.c.host, host_override.c.mode, host_override.c.reason, host_override.c.until_us)
    return {
        row.host: HostMode(
            mode=row.mode, reason=row.reason, until=None if row.until_us is None else moment(row.until_us)
        )
        for row in await connection.execute(select(*columns))
    }


async def modes_stamp(connection: AsyncConnection) -> tuple[int, int]:
    """Changes whenever a host is suspended or resumed."""
    row = (await connection.execute(select(func.count(), func.max(host_override.c.at_us)))).one()
    return row[0], row[1] or 0


async def published(connection: AsyncConnection) -> dict[HostName, Published]:
    """What counts now for each host, without its bytes."""
    columns = [c for c in host_document.c if c.name not in {"note", "digest"}]
    return {
        row.host: Published(
            revision=row.revision,
            epoch=row.epoch,
            content_digest=row.content_digest,
            issued_at=moment(row.issued_at_us),
            expires_at=moment(row.expires_at_us),
        )
        for row in await connection.execute(select(*columns))
    }


async def last_publication(connection: AsyncConnection) -> Row[*tuple[Any, ...]] | None:
    """The newest publication."""
    return (await connection.execute(select(publication).order_by(publication.c.id.desc()).limit(1))).first()


async def held(connection: AsyncConnection) -> dict[HostName, tuple[Hold, ...]]:
    """What the newest publication held back, by host."""
    question = select(publication.c.held).order_by(publication.c.id.desc()).limit(1)
    return _held(await connection.scalar(question))


def held_in(row: Row[*tuple[Any, ...]] | None) -> dict[HostName, tuple[Hold, ...]]:
    """The same of a publication that was read."""
    return _held(row.held if row is not None else None)


def _held(body: bytes | None) -> dict[HostName, tuple[Hold, ...]]:
    return msgspec.json.decode(body, type=dict[HostName, tuple[Hold, ...]]) if body else {}


async def add_publication(connection: AsyncConnection, **values: Any) -> None:
    """Write down one publication."""
    await connection.execute(insert(publication).values(**values))


async def store_documents(connection: AsyncConnection, issued: Sequence[Issued], change_id: int) -> None:
    """Make these the documents that count; caches are told by the generation, open pages by the feed."""
    for start in range(0, len(issued), _ROWS):
        some = issued[start : start + _ROWS]
        current = [_row(one) for one in some]
        await connection.execute(insert(document), [row | {"change_id": change_id} for row in current])
        await connection.execute(delete(host_document).where(host_document.c.host.in_([one.host for one in some])))
        await connection.execute(insert(host_document), current)
    await connection.execute(
        update(generation).where(generation.c.name == "documents").values(number=generation.c.number + 1)
    )


def _row(one: Issued) -> dict[str, Any]:
    return {
        "host": one.host,
        "revision": one.revision,
        "epoch": one.epoch,
        "digest": one.digest,
        "content_digest": one.content_digest,
        "note": one.note,
        "issued_at_us": micros(one.issued_at),
        "expires_at_us": micros(one.expires_at),
    }


async def tell(connection: AsyncConnection, at_us: int, topic: str, subjects: Iterable[str]) -> None:
    """Let open pages look again at these."""
    rows = [{"at_us": at_us, "topic": topic, "subject": subject} for subject in subjects]
    if rows:
        await connection.execute(insert(change_feed), rows)


async def store_bundle(connection: AsyncConnection, made: Bundle, at_us: int) -> None:
    """Keep a bundle that documents name, unless it is there."""
    there = await connection.scalar(select(bundle.c.digest).where(bundle.c.digest == made.artifact.digest))
    if there is None:
        await connection.execute(
            insert(bundle).values(
                digest=made.artifact.digest,
                file=made.artifact.file,
                size=made.artifact.size,
                data=made.data,
                kinds=msgspec.json.encode(BundleIndex(kinds=made.kinds), order="deterministic"),
                added_us=at_us,
            )
        )


async def bundle_data(connection: AsyncConnection, digest: str) -> bytes | None:
    """The bytes of a bundle that was published once."""
    return await connection.scalar(select(bundle.c.data).where(bundle.c.digest == digest))
