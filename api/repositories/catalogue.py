"""Questions about what is declared."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy import and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import catalogue_change, catalogue_entry, catalogue_head, catalogue_script

EntryKind = Literal["service", "package", "host"]
Key = tuple[str, str]
"""Kind and name of an entry."""
_ROWS = 500
"""Rows in one statement: packets are bounded."""


class EntryRow(Struct, frozen=True, kw_only=True):
    """One entry as it is stored."""

    kind: str
    name: str
    body: bytes
    digest: str
    change_id: int


class ChangeRow(Struct, frozen=True, kw_only=True):
    """One change, applied or refused."""

    id: int
    ref: str
    author: str
    summary: str
    source: str
    at_us: int
    state: str
    problems: bytes
    changed: bytes


_ENTRY = [catalogue_entry.c[name] for name in EntryRow.__struct_fields__]


async def entry(connection: AsyncConnection, kind: EntryKind, name: str) -> EntryRow | None:
    """The entry of that kind and name."""
    question = select(*_ENTRY).where(catalogue_entry.c.kind == kind, catalogue_entry.c.name == name)
    row = (await connection.execute(question)).mappings().first()
    return EntryRow(**row) if row else None


async def page(connection: AsyncConnection, kind: EntryKind, after: str, limit: int) -> list[EntryRow]:
    """Entries of a kind, by name."""
    question = (
        select(*_ENTRY)
        .where(catalogue_entry.c.kind == kind, catalogue_entry.c.name > after)
        .order_by(catalogue_entry.c.name)
        .limit(limit)
    )
    return [EntryRow(**row) for row in (await connection.execute(question)).mappings()]


async def everything(connection: AsyncConnection) -> dict[Key, EntryRow]:
    """All entries."""
    rows = (await connection.execute(select(*_ENTRY))).mappings()
    return {(row["kind"], row["name"]): EntryRow(**row) for row in rows}


async def lock_head(connection: AsyncConnection) -> int:
    """The newest applied change; nobody else changes the catalogue until this transaction ends."""
    question = select(catalogue_head.c.change_id).where(catalogue_head.c.id == 1).with_for_update()
    return int((await connection.execute(question)).scalar_one())


async def set_head(connection: AsyncConnection, change_id: int) -> None:
    """This change is the newest that was applied."""
    await connection.execute(update(catalogue_head).where(catalogue_head.c.id == 1).values(change_id=change_id))


async def add_change(connection: AsyncConnection, **values: Any) -> int:
    """Write a change down; without a `ref` it is called `change-<id>`. Returns its id."""
    done = await connection.execute(insert(catalogue_change).values(**values))
    change_id = int(done.inserted_primary_key[0])  # type: ignore[index]  # it was inserted
    if not values["ref"]:
        named = update(catalogue_change).where(catalogue_change.c.id == change_id).values(ref=f"change-{change_id}")
        await connection.execute(named)
    return change_id


async def put(connection: AsyncConnection, rows: Sequence[EntryRow]) -> None:
    """Store these entries instead of those of the same kind and name."""
    await drop(connection, [(row.kind, row.name) for row in rows])
    for start in range(0, len(rows), _ROWS):
        values = [
            {name: getattr(row, name) for name in EntryRow.__struct_fields__} for row in rows[start : start + _ROWS]
        ]
        await connection.execute(insert(catalogue_entry).values(values))


async def drop(connection: AsyncConnection, keys: Sequence[Key]) -> None:
    """Delete these entries."""
    for start in range(0, len(keys), 100):
        some = keys[start : start + 100]
        fits = [and_(catalogue_entry.c.kind == kind, catalogue_entry.c.name == name) for kind, name in some]
        await connection.execute(delete(catalogue_entry).where(or_(*fits)))


async def newest_change(connection: AsyncConnection) -> ChangeRow | None:
    """The newest change, applied or refused."""
    rows = await changes(connection, None, limit=1)
    return rows[0] if rows else None


async def change(connection: AsyncConnection, change_id: int) -> ChangeRow | None:
    """The change of that id."""
    question = select(catalogue_change).where(catalogue_change.c.id == change_id)
    row = (await connection.execute(question)).mappings().first()
    return ChangeRow(**row) if row else None


async def changes(connection: AsyncConnection, before: int | None, *, limit: int) -> list[ChangeRow]:
    """Changes before that one (None: the newest), newest first."""
    question = select(catalogue_change).order_by(catalogue_change.c.id.desc()).limit(limit)
    if before is not None:
        question = question.where(catalogue_change.c.id < before)
    return [ChangeRow(**row) for row in (await connection.execute(question)).mappings()]


async def scripts(connection: AsyncConnection) -> dict[str, bytes]:
    """The scripts of the catalogue's own repository, by path."""
    rows = await connection.execute(select(catalogue_script.c.path, catalogue_script.c.body))
    return {row.path: row.body for row in rows}


async def put_scripts(
    connection: AsyncConnection, new: Mapping[str, bytes], gone: Iterable[str], change_id: int
) -> None:
    """Store these scripts instead of those with the same path, and delete those that are gone."""
    for path in {*new, *gone}:
        await connection.execute(delete(catalogue_script).where(catalogue_script.c.path == path))
    for path, body in new.items():
        await connection.execute(insert(catalogue_script).values(path=path, body=body, change_id=change_id))
