"""Questions about what stands in targets outside this database."""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from sqlalchemy import and_, delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import delivered, host_document, trust
from api.publish.target import document_path, trust_path
from desired_state.names import Digest

HEAD = "#head"
"""The row that holds the state a target was left in; no host can have this name."""
_TRUST = "trust/"
"""Before the version of a trust file, likewise."""
_BATCH = 10_000
_ROWS = 500


class Lacking(Struct, frozen=True, kw_only=True):
    """One file that a target lacks, or has in an older form."""

    key: str
    """A host's name, or `trust/<version>`."""
    path: str
    digest: Digest
    note: bytes


async def state(connection: AsyncConnection, target: str) -> str:
    """The state that the target was left in; empty before the first delivery."""
    where = (delivered.c.target == target) & (delivered.c.host == HEAD)
    return await connection.scalar(select(delivered.c.digest).where(where)) or ""


async def lacking(connection: AsyncConnection, targets: Sequence[str]) -> bool:
    """Whether any of these targets lacks anything."""
    for target in targets:
        if await missing_trust(connection, target) or await missing_documents(connection, target, 1):
            return True
    return False


async def missing_documents(connection: AsyncConnection, target: str, limit: int = _BATCH) -> list[Lacking]:
    """Documents that count and do not stand there. At most so many at once."""
    there = and_(delivered.c.target == target, delivered.c.host == host_document.c.host)
    query = (
        select(host_document.c.host, host_document.c.digest, host_document.c.note)
        .outerjoin(delivered, there)
        .where(or_(delivered.c.digest.is_(None), delivered.c.digest != host_document.c.digest))
        .order_by(host_document.c.host)
        .limit(limit)
    )
    rows = await connection.execute(query)
    return [Lacking(key=row.host, path=document_path(row.host), digest=row.digest, note=row.note) for row in rows]


async def missing_trust(connection: AsyncConnection, target: str) -> list[Lacking]:
    """Trust files that do not stand there."""
    query = select(delivered.c.host).where(delivered.c.target == target, delivered.c.host.startswith(_TRUST))
    there = set(await connection.scalars(query))
    rows = await connection.execute(select(trust.c.version, trust.c.digest, trust.c.note).order_by(trust.c.version))
    return [
        Lacking(key=f"{_TRUST}{row.version}", path=trust_path(row.version), digest=row.digest, note=row.note)
        for row in rows
        if f"{_TRUST}{row.version}" not in there
    ]


async def forget(connection: AsyncConnection, target: str) -> None:
    """Nothing is known of the target any more: everything is to be put anew."""
    await connection.execute(delete(delivered).where(delivered.c.target == target))


async def remember(connection: AsyncConnection, target: str, digests: Mapping[str, str], head: str, at_us: int) -> None:
    """These stand there now, and the target is in that state."""
    rows = [
        {"target": target, "host": host, "digest": digest, "at_us": at_us}
        for host, digest in {**digests, HEAD: head}.items()
    ]
    for start in range(0, len(rows), _ROWS):
        some = rows[start : start + _ROWS]
        hosts = [row["host"] for row in some]
        await connection.execute(delete(delivered).where(delivered.c.target == target, delivered.c.host.in_(hosts)))
        await connection.execute(insert(delivered), some)
