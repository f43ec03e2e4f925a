"""Questions about the agent: its packages, the services that declare it, the script that a host begins with."""

from typing import Any

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import agent_script, artifact, catalogue_entry
from desired_state.catalogue import PackageEntry, ServiceEntry


async def packages(connection: AsyncConnection, name: str) -> list[PackageEntry]:
    """All versions of a package: those that the catalogue declares, and those that are in the store only."""
    prefix = f"{name}-"
    declared = select(catalogue_entry.c.body).where(
        catalogue_entry.c.kind == "package", catalogue_entry.c.name.startswith(prefix, autoescape=True)
    )
    entries = [msgspec.json.decode(body, type=PackageEntry) for body in await connection.scalars(declared)]
    found = {entry.version: entry for entry in await _stored(connection, name)}
    return list((found | {entry.version: entry for entry in entries if entry.package == name}).values())


async def _stored(connection: AsyncConnection, name: str) -> list[PackageEntry]:
    columns = (artifact.c.digest, artifact.c.size, artifact.c.file, artifact.c.version)
    question = select(*columns).where(artifact.c.package == name).order_by(artifact.c.added_us)
    return [
        PackageEntry(
            package=name,
            version=row.version,
            file=row.file,
            sha256=row.digest.removeprefix("sha256:"),
            size=row.size,
        )
        for row in await connection.execute(question)
    ]


async def is_package(connection: AsyncConnection, name: str, digest: str) -> PackageEntry | None:
    """The version of that package whose file has these bytes."""
    return next((entry for entry in await packages(connection, name) if entry.digest == digest), None)


async def services(connection: AsyncConnection, kind: str) -> list[ServiceEntry]:
    """The services of a kind that the catalogue declares, by name."""
    question = (
        select(catalogue_entry.c.body).where(catalogue_entry.c.kind == "service").order_by(catalogue_entry.c.name)
    )
    found = (msgspec.json.decode(body, type=ServiceEntry) for body in await connection.scalars(question))
    return [entry for entry in found if entry.kind == kind]


async def keep_script(connection: AsyncConnection, *, digest: str, body: bytes, added_us: int, expires_us: int) -> None:
    """Keep the script at least until then. Raises IntegrityError when another keeps it at the same moment."""
    later = update(agent_script).where(agent_script.c.digest == digest, agent_script.c.expires_us < expires_us)
    await connection.execute(later.values(expires_us=expires_us))
    if await connection.scalar(select(agent_script.c.digest).where(agent_script.c.digest == digest)) is None:
        row: dict[str, Any] = {"digest": digest, "body": body, "added_us": added_us, "expires_us": expires_us}
        await connection.execute(insert(agent_script).values(**row))


async def script(connection: AsyncConnection, digest: str) -> bytes | None:
    """The script with those bytes, if a join token named it lately."""
    return await connection.scalar(select(agent_script.c.body).where(agent_script.c.digest == digest))
