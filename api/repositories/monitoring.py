"""Questions of the monitoring: what every enrolled host said last, in one."""

from msgspec import Struct
from sqlalchemy import LargeBinary, and_, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import catalogue_entry, host_identity, host_status


class SaidRow(Struct, frozen=True, kw_only=True):
    """One enrolled host."""

    host: str
    packed: bytes
    """Its newest status as it is stored: compressed. Ten thousand are unpacked in a thread, not on the event loop."""
    entry: bytes | None
    """JSON of its HostEntry; None where the catalogue does not declare it (any more)."""


async def said(connection: AsyncConnection) -> list[SaidRow]:
    """Every enrolled host that reported once, by name."""
    entry = and_(catalogue_entry.c.kind == "host", catalogue_entry.c.name == host_identity.c.host)
    question = (
        select(host_identity.c.host, type_coerce(host_status.c.status, LargeBinary), catalogue_entry.c.body)
        .join(host_status, host_status.c.host == host_identity.c.host)
        .outerjoin(catalogue_entry, entry)
        .order_by(host_identity.c.host)
    )
    return [SaidRow(host=host, packed=packed, entry=body) for host, packed, body in await connection.execute(question)]
