"""Questions about secrets, their versions, and what was sealed of them."""

from collections.abc import Iterable, Sequence

from msgspec import Struct
from sqlalchemy import delete, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import host_identity, sealed_secret, secret
from api.publish.sealer import SealedKey
from desired_state.names import HostName, SecretName, SecretVersion

_ROWS = 500
"""Rows in one statement: packets are bounded."""


class SecretRow(Struct, frozen=True, kw_only=True):
    """One version of a secret."""

    name: str
    version: int
    ciphertext: bytes | None
    created_by: str
    created_us: int
    note: str
    removed_us: int | None = None


_COLUMNS = [secret.c[name] for name in SecretRow.__struct_fields__]


async def newest(connection: AsyncConnection) -> dict[SecretName, SecretRow]:
    """The newest version of every secret, also of those that were removed."""
    last = select(secret.c.name, func.max(secret.c.version).label("version")).group_by(secret.c.name).subquery()
    question = select(*_COLUMNS).join(last, (last.c.name == secret.c.name) & (last.c.version == secret.c.version))
    rows = (await connection.execute(question)).mappings()
    return {row["name"]: SecretRow(**row) for row in rows}


async def newest_of(connection: AsyncConnection, name: SecretName) -> SecretRow | None:
    """The newest version of that secret, also when it was removed."""
    question = select(*_COLUMNS).where(secret.c.name == name).order_by(secret.c.version.desc()).limit(1)
    row = (await connection.execute(question)).mappings().first()
    return SecretRow(**row) if row else None


async def known(connection: AsyncConnection) -> dict[SecretName, SecretVersion]:
    """The secrets that there are, each with its newest version."""
    rows = (await newest(connection)).values()
    return {row.name: row.version for row in rows if row.removed_us is None}


async def any_encrypted(connection: AsyncConnection) -> SecretRow | None:
    """Some version that is encrypted here."""
    question = select(*_COLUMNS).where(secret.c.ciphertext.is_not(None)).limit(1)
    row = (await connection.execute(question)).mappings().first()
    return SecretRow(**row) if row else None


async def add(connection: AsyncConnection, row: SecretRow) -> None:
    """Store a new version."""
    values = {name: getattr(row, name) for name in SecretRow.__struct_fields__}
    await connection.execute(insert(secret).values(**values))


async def remove(connection: AsyncConnection, name: SecretName, at_us: int) -> None:
    """Forget the value of every version. The versions go on counting."""
    await connection.execute(update(secret).where(secret.c.name == name).values(ciphertext=None, removed_us=at_us))


async def stamp(connection: AsyncConnection) -> tuple[int, int, int, int, int]:
    """Changes whenever a secret is set or removed, and, where there are secrets, when a host is enrolled."""
    said = (func.count(), func.max(secret.c.created_us), func.max(secret.c.removed_us))
    count, set_us, removed_us = (await connection.execute(select(*said))).one()
    if not count:
        return 0, 0, 0, 0, 0
    hosts = select(func.count(), func.max(host_identity.c.enrolled_at_us))
    enrolled, enrolled_us = (await connection.execute(hosts)).one()
    return count, set_us, removed_us or 0, enrolled, enrolled_us or 0


async def sealing_keys(connection: AsyncConnection) -> dict[HostName, str]:
    """The key of each enrolled host that secrets are sealed to, base64."""
    rows = await connection.execute(select(host_identity.c.host, host_identity.c.sealing_key))
    return {row.host: row.sealing_key for row in rows}


async def sealed(connection: AsyncConnection) -> dict[SealedKey, str]:
    """Everything that was sealed and is in use."""
    rows = await connection.execute(select(sealed_secret))
    return {SealedKey(row.host, row.name, row.version, row.sealing_key): row.sealed.decode() for row in rows}


async def keep_sealed(connection: AsyncConnection, made: Sequence[tuple[SealedKey, str]]) -> None:
    """Store what was sealed."""
    for start in range(0, len(made), _ROWS):
        rows = [{**key._asdict(), "sealed": text.encode()} for key, text in made[start : start + _ROWS]]
        await connection.execute(insert(sealed_secret), rows)


async def drop_sealed(connection: AsyncConnection, keys: Iterable[SealedKey]) -> None:
    """Delete what no document that counts carries any more."""
    columns = tuple_(*(sealed_secret.c[name] for name in SealedKey._fields))
    stale = list(keys)
    for start in range(0, len(stale), 100):
        await connection.execute(delete(sealed_secret).where(columns.in_(stale[start : start + 100])))


async def forget_old(connection: AsyncConnection) -> None:
    """Forget values of versions that are neither the newest of their secret nor in any document that counts."""
    newest_versions = {(row.name, row.version) for row in (await newest(connection)).values()}
    held = await connection.execute(select(secret.c.name, secret.c.version).where(secret.c.ciphertext.is_not(None)))
    old = {(row.name, row.version) for row in held} - newest_versions
    if not old:
        return
    named = await connection.execute(select(sealed_secret.c.name, sealed_secret.c.version).distinct())
    for name, version in sorted(old - {(row.name, row.version) for row in named}):
        gone = update(secret).where(secret.c.name == name, secret.c.version == version)
        await connection.execute(gone.values(ciphertext=None))
