"""Questions of the poll path: few, by primary key."""

from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import generation, host_document, host_identity
from desired_state.names import Digest, HostName

Stamp = tuple[int | None, int, int | None]
"""Equal stamps mean that neither a document nor an identity changed in between."""


class Poll(Struct, frozen=True, kw_only=True):
    """What a poll of one host is answered from."""

    sealing_key: str | None
    """Base64 of its X25519 key; None for a host that never enrolled."""
    digest: Digest | None
    note: bytes | None
    """The document; None where nothing is published for it."""


async def stamp(connection: AsyncConnection) -> Stamp:
    """One cheap number for each thing that answers depend on."""
    documents = select(generation.c.number).where(generation.c.name == "documents").scalar_subquery()
    identities = select(documents, func.count(), func.max(host_identity.c.enrolled_at_us)).select_from(host_identity)
    row = (await connection.execute(identities)).one()
    return row[0], row[1], row[2]


async def poll(connection: AsyncConnection, host: HostName) -> Poll:
    """Who the host is and what is published for it."""
    key = await connection.scalar(select(host_identity.c.sealing_key).where(host_identity.c.host == host))
    columns = (host_document.c.digest, host_document.c.note)
    row = (await connection.execute(select(*columns).where(host_document.c.host == host))).first()
    return Poll(sealing_key=key, digest=row.digest if row else None, note=row.note if row else None)
