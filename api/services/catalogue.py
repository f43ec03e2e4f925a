"""The catalogue: read entry by entry, changed by one rule: the whole that results must have no errors."""

import asyncio
from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec import Struct, structs
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.database import snapshot, transaction
from api.errors import Changed, Invalid, NotFound, PreconditionMissing
from api.moments import micros, moment
from api.principal import Principal
from api.publish.bundle import BadScript, Scripts, make_bundle, merge_scripts
from api.repositories import catalogue
from api.repositories.catalogue import ChangeRow, EntryKind, EntryRow, Key
from api.repositories.publications import tell
from api.services import audit, secrets
from desired_state.catalogue import Catalogue, Entry, HostEntry, PackageEntry, Problem, ServiceEntry
from desired_state.contract import KindMeta
from desired_state.names import digest_of
from desired_state.problems import problems
from desired_state.service_problems import KnownSecrets

STRUCTS: dict[str, type[Entry]] = {"service": ServiceEntry, "package": PackageEntry, "host": HostEntry}
KEPT_IN_GIT = "the catalogue is kept in git: make a merge request"
Declared = dict[Key, Entry]
"""Entries by kind and name."""


class Conditions(Struct, frozen=True, kw_only=True):
    """What a writer says about the state it read: the ETag headers, without quotes."""

    if_match: str | None = None
    if_none_match: str | None = None


class Stored(Struct, frozen=True, kw_only=True):
    """An entry that was written, and what may be wrong with it all the same."""

    etag: str
    change: int
    created: bool
    warnings: tuple[Problem, ...] = ()


class Found(Struct, frozen=True, kw_only=True):
    """An entry and its ETag."""

    entry: Entry
    etag: str


class Difference(Struct, frozen=True, kw_only=True):
    """One entry that a change touched."""

    entry: str
    """`service/orders`."""
    action: str
    """`added`, `changed`, `removed`."""


class Change(Struct, frozen=True, kw_only=True):
    """One change of the catalogue, applied or refused."""

    id: int
    ref: str
    author: str
    summary: str
    source: str
    at: datetime
    state: str
    problems: tuple[Problem, ...]
    changed: tuple[Difference, ...]


class Origin(Struct, frozen=True, kw_only=True):
    """Where a change comes from. An empty `ref` becomes `change-<id>`."""

    source: str
    author: str
    ref: str = ""
    summary: str = ""


def key_of(entry: Entry) -> Key:
    """Kind and name of an entry."""
    if isinstance(entry, ServiceEntry):
        return ("service", entry.service)
    if isinstance(entry, PackageEntry):
        return ("package", entry.name)
    return ("host", entry.host)


def whole(declared: Mapping[Key, Entry]) -> Catalogue:
    """The catalogue of these entries."""
    entries = [declared[key] for key in sorted(declared)]
    return Catalogue(
        services=tuple(e for e in entries if isinstance(e, ServiceEntry)),
        packages=tuple(e for e in entries if isinstance(e, PackageEntry)),
        hosts=tuple(e for e in entries if isinstance(e, HostEntry)),
    )


async def get(engine: AsyncEngine, kind: EntryKind, name: str) -> Found:
    """One entry. Raises NotFound."""
    async with snapshot(engine) as connection:
        row = await catalogue.entry(connection, kind, name)
    if row is None:
        raise NotFound(f"the catalogue has no {kind} {name}")
    return Found(entry=decoded(row), etag=row.digest)


async def page(engine: AsyncEngine, kind: EntryKind, *, after: str, limit: int) -> tuple[list[Entry], str | None]:
    """Entries by name, and what to give as `after` for those that follow."""
    async with snapshot(engine) as connection:
        rows = await catalogue.page(connection, kind, after, limit + 1)
    return [decoded(row) for row in rows[:limit]], rows[limit - 1].name if len(rows) > limit else None


async def put(
    engine: AsyncEngine,
    by: Principal,
    name: str,
    entry: Entry,
    conditions: Conditions,
    *,
    shipped: Scripts,
    now: datetime,
) -> Stored:
    """Write one entry. Raises Invalid (all problems of the whole), Changed, PreconditionMissing."""
    key = key_of(entry)
    if key[1] != name:
        raise Invalid(
            f"the path says {name}, the body {key[1]}", (Problem(pointer=f"/{key[0]}", message="is another name"),)
        )
    known = await kinds(engine, shipped)
    async with transaction(engine) as connection:
        await catalogue.lock_head(connection)
        rows = await catalogue.everything(connection)
        _check(conditions, rows.get(key), name)
        new = {**_declared(rows), key: entry}
        warnings = _judge(new, key, known, await secrets.known(connection))
        origin = Origin(source="api", author=by.actor)
        change = await store(connection, rows, new, origin, warnings=warnings, by=by, now=now)
    return Stored(etag=encoded(entry)[1], change=change, created=key not in rows, warnings=warnings)


async def drop(
    engine: AsyncEngine,
    by: Principal,
    kind: EntryKind,
    name: str,
    conditions: Conditions,
    *,
    shipped: Scripts,
    now: datetime,
) -> None:
    """Delete one entry. What it put on hosts stays there: only `absent` removes. Raises as `put`, and NotFound."""
    known = await kinds(engine, shipped)
    async with transaction(engine) as connection:
        await catalogue.lock_head(connection)
        rows = await catalogue.everything(connection)
        if (kind, name) not in rows:
            raise NotFound(f"the catalogue has no {kind} {name}")
        _check(conditions, rows[kind, name], name)
        new = {key: entry for key, entry in _declared(rows).items() if key != (kind, name)}
        warnings = _judge(new, (kind, name), known, await secrets.known(connection))
        await store(connection, rows, new, Origin(source="api", author=by.actor), warnings=warnings, by=by, now=now)


async def store(
    connection: AsyncConnection,
    old: Mapping[Key, EntryRow],
    new: Mapping[Key, Entry],
    origin: Origin,
    *,
    warnings: tuple[Problem, ...],
    by: Principal,
    now: datetime,
) -> int:
    """Make `new` the catalogue, under the lock of its head; returns the change's id. Writes what differs only."""
    bodies = {key: encoded(entry) for key, entry in new.items()}
    written = [key for key in sorted(new) if key not in old or old[key].digest != bodies[key][1]]
    gone = sorted(old.keys() - new.keys())
    differences = _differences(old, written, gone)
    change_id = await catalogue.add_change(
        connection,
        ref=origin.ref,
        author=origin.author[:500],
        summary=(origin.summary or _summary(differences))[:2000],
        source=origin.source,
        at_us=micros(now),
        state="applied",
        problems=msgspec.json.encode(warnings),
        changed=msgspec.json.encode(differences),
    )
    rows = [
        EntryRow(kind=key[0], name=key[1], body=bodies[key][0], digest=bodies[key][1], change_id=change_id)
        for key in written
    ]
    await catalogue.drop(connection, gone)
    await catalogue.put(connection, rows)
    await catalogue.set_head(connection, change_id)
    await tell(connection, micros(now), "catalogue", [""])
    detail = {"source": origin.source, "ref": origin.ref, "summary": _summary(differences)[:500]}
    subject = differences[0].entry if len(differences) == 1 else "catalogue"
    await audit.append(connection, now=now, actor=by.actor, action="catalogue.changed", subject=subject, detail=detail)
    return change_id


async def changes(engine: AsyncEngine, *, before: int | None, limit: int) -> tuple[list[Change], int | None]:
    """Changes, newest first, and what to give as `before` for those that follow."""
    async with snapshot(engine) as connection:
        rows = await catalogue.changes(connection, before, limit=limit + 1)
    return [shown(row) for row in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None


async def kinds(engine: AsyncEngine, shipped: Scripts) -> dict[str, KindMeta]:
    """What can be run: the kinds that towline ships, and those of the catalogue's own repository.

    May run scripts (`meta`), so it is asked outside of transactions that others wait for.
    """
    async with snapshot(engine) as connection:
        own = await catalogue.scripts(connection)
    try:
        return (await asyncio.to_thread(make_bundle, merge_scripts(shipped, own))).kinds
    except BadScript as bad:  # it was good when it was imported: another version of towline ships a file of that name
        problem = Problem(pointer="", file=f"scripts/{bad.path}", message=bad.message)
        raise Invalid("a script of the catalogue's repository cannot be used", (problem,)) from bad


def decoded(row: EntryRow) -> Entry:
    """The entry in a row."""
    return msgspec.json.decode(row.body, type=STRUCTS[row.kind])


def encoded(entry: Entry) -> tuple[bytes, str]:
    """The one text form of an entry, and its digest: the ETag."""
    body = msgspec.json.encode(entry, order="deterministic")
    return body, digest_of(body)


def shown(row: ChangeRow) -> Change:
    """A change as it is shown."""
    return Change(
        id=row.id,
        ref=row.ref,
        author=row.author,
        summary=row.summary,
        source=row.source,
        at=moment(row.at_us),
        state=row.state,
        problems=msgspec.json.decode(row.problems, type=tuple[Problem, ...]),
        changed=msgspec.json.decode(row.changed, type=tuple[Difference, ...]),
    )


def _declared(rows: Mapping[Key, EntryRow]) -> Declared:
    return {key: decoded(row) for key, row in rows.items()}


def _check(conditions: Conditions, row: EntryRow | None, name: str) -> None:
    """RFC 9110, 13: what the writer read must be what is there."""
    if conditions.if_none_match == "*" and row is not None:
        raise Changed(f"{name} is there already")
    if conditions.if_match is not None and conditions.if_match not in {"*", row.digest if row else ""}:
        raise Changed(f"{name} was changed since you read it; read it again")
    if conditions.if_match == "*" and row is None:
        raise Changed(f"there is no {name} yet")
    if row is not None and conditions.if_match is None:
        raise PreconditionMissing(f"{name} is there already: say which state of it you read, with If-Match")


def _judge(
    new: Mapping[Key, Entry], edited: Key, known: Mapping[str, KindMeta], there: KnownSecrets
) -> tuple[Problem, ...]:
    """The warnings about the whole. Raises Invalid for errors, pointers into the body where they are about it."""
    own = f"/{edited[0]}s/{edited[1]}"
    found = [
        structs.replace(problem, pointer=problem.pointer.removeprefix(own))
        if problem.pointer == own or problem.pointer.startswith(own + "/")
        else problem
        for problem in problems(whole(new), known, there)
    ]
    errors = tuple(problem for problem in found if problem.severity == "error")
    if errors:
        raise Invalid("the catalogue would not be valid with it; nothing was changed", errors)
    return tuple(found)


def _differences(old: Mapping[Key, EntryRow], written: list[Key], gone: list[Key]) -> list[Difference]:
    puts = [Difference(entry="/".join(key), action="changed" if key in old else "added") for key in written]
    return puts + [Difference(entry="/".join(key), action="removed") for key in gone]


def _summary(differences: list[Difference]) -> str:
    if len(differences) <= 3:
        return ", ".join(f"{d.action} {d.entry}" for d in differences) or "nothing changed"
    counts = {action: sum(d.action == action for d in differences) for action in ("added", "changed", "removed")}
    return ", ".join(f"{count} {action}" for action, count in counts.items() if count)
