"""Questions about what the catalogue declares, for reading only."""

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import catalogue_entry
from desired_state.catalogue import HostEntry, ServiceEntry


async def services(connection: AsyncConnection) -> list[ServiceEntry]:
    """Every service, by name."""
    return [msgspec.json.decode(body, type=ServiceEntry) for body in await _bodies(connection, "service")]


async def hosts(connection: AsyncConnection) -> list[HostEntry]:
    """Every host, by name."""
    return [msgspec.json.decode(body, type=HostEntry) for body in await _bodies(connection, "host")]


async def service(connection: AsyncConnection, name: str) -> ServiceEntry | None:
    """One service."""
    question = select(catalogue_entry.c.body).where(catalogue_entry.c.kind == "service", catalogue_entry.c.name == name)
    body = await connection.scalar(question)
    return msgspec.json.decode(body, type=ServiceEntry) if body is not None else None


async def _bodies(connection: AsyncConnection, kind: str) -> list[bytes]:
    question = select(catalogue_entry.c.body).where(catalogue_entry.c.kind == kind).order_by(catalogue_entry.c.name)
    return list(await connection.scalars(question))
