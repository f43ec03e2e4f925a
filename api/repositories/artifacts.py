"""Questions about files that hosts fetch."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import artifact


async def put(connection: AsyncConnection, row: Mapping[str, Any]) -> None:
    """Write down that a file is in the store."""
    await connection.execute(delete(artifact).where(artifact.c.digest == row["digest"]))
    await connection.execute(insert(artifact).values(**row))
