"""Secrets: written, never read back. What is told of them are names, versions, who and when."""

from datetime import datetime

from msgspec import Struct
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.database import snapshot, transaction
from api.errors import Conflict, Invalid, NotFound
from api.moments import micros, moment
from api.principal import Principal
from api.repositories import catalogue, publications
from api.repositories import secrets as store
from api.repositories.secrets import SecretRow
from api.services import audit
from api.vault import Vault
from desired_state.catalogue import Problem, secrets_of
from desired_state.names import SECRET_PATTERN, SecretName, SecretVersion, ServiceName, Timestamp, is_name
from desired_state.sealing import MAX_SECRET_BYTES
from desired_state.service_problems import KnownSecrets

MIN_SECRET_BYTES = 6
"""A shorter one would be found in every word: it could not be kept out of logs."""
MAX_NOTE = 500


class SetSecret(Struct, frozen=True, kw_only=True):
    """A version that was set."""

    name: SecretName
    version: SecretVersion


class ShownSecret(Struct, frozen=True, kw_only=True):
    """A secret as it is shown."""

    name: SecretName
    version: SecretVersion
    set_by: str
    set_at: Timestamp
    note: str
    used_by: tuple[ServiceName, ...]
    """Services of the catalogue that name it."""


async def set_secret(
    engine: AsyncEngine, vault: Vault, by: Principal, name: str, value: bytes, *, note: str = "", now: datetime
) -> SetSecret:
    """A new secret, or the next version of one: the next publication carries it to the hosts that use it.

    One line end at the end of the value does not belong to it. Raises Invalid, which never tells the value, Conflict
    when another sets it at the same moment, Misconfigured when the key is lost that others are encrypted under.
    """
    value = value.removesuffix(b"\n").removesuffix(b"\r")
    found = tuple(_problems(name, value, note))
    if found:
        raise Invalid("the secret is not set", found)
    try:
        async with transaction(engine) as connection:
            version = await _add(connection, vault, by, name, value, note=note, now=now)
            await audit.append(
                connection,
                now=now,
                actor=by.actor,
                action="secret.set",
                subject=f"secret/{name}",
                detail={"version": str(version), "note": note},
            )
    except IntegrityError as error:
        raise Conflict(f"another set secret {name} at the same moment; look with: towline secret list") from error
    return SetSecret(name=name, version=version)


async def remove(engine: AsyncEngine, by: Principal, name: str, *, now: datetime) -> None:
    """Forget a secret. Raises NotFound, and Conflict while a service names it."""
    async with transaction(engine) as connection:
        await catalogue.lock_head(connection)
        row = await store.newest_of(connection, name)
        if row is None or row.removed_us is not None:
            raise NotFound(f"there is no secret {name}")
        users = (await _users(connection)).get(name, ())
        if users:
            raise Conflict(f"secret {name} is used by {', '.join(users)}; take it out of the catalogue first")
        await store.remove(connection, name, micros(now))
        await publications.tell(connection, micros(now), "catalogue", [""])
        await audit.append(connection, now=now, actor=by.actor, action="secret.removed", subject=f"secret/{name}")


async def listed(engine: AsyncEngine) -> tuple[ShownSecret, ...]:
    """Every secret, by name."""
    async with snapshot(engine) as connection:
        rows, users = await store.newest(connection), await _users(connection)
    return tuple(
        ShownSecret(
            name=row.name,
            version=row.version,
            set_by=row.created_by,
            set_at=moment(row.created_us),
            note=row.note,
            used_by=users.get(row.name, ()),
        )
        for row in sorted(rows.values(), key=lambda row: row.name)
        if row.removed_us is None
    )


async def known(connection: AsyncConnection, *, severity: str = "error") -> KnownSecrets:
    """The names that the catalogue may use; `severity` of using others."""
    return KnownSecrets(names=frozenset(await store.known(connection)), severity=severity)


async def _add(
    connection: AsyncConnection, vault: Vault, by: Principal, name: str, value: bytes, *, note: str, now: datetime
) -> SecretVersion:
    other = await store.any_encrypted(connection)
    if other is None or other.ciphertext is None:
        vault.make_key()
    else:
        vault.unlock(other.name, other.version, other.ciphertext)  # never two secrets under two keys
    before = await store.newest_of(connection, name)
    version = before.version + 1 if before else 1
    row = SecretRow(
        name=name,
        version=version,
        ciphertext=vault.lock(name, version, value),
        created_by=by.actor,
        created_us=micros(now),
        note=note,
    )
    await store.add(connection, row)
    await publications.tell(connection, micros(now), "catalogue", [""])
    return version


async def _users(connection: AsyncConnection) -> dict[SecretName, tuple[ServiceName, ...]]:
    users: dict[SecretName, list[ServiceName]] = {}
    for entry in (await publications.catalogue(connection)).services:
        for name in secrets_of(entry):
            users.setdefault(name, []).append(entry.service)
    return {name: tuple(sorted(services)) for name, services in users.items()}


def _problems(name: str, value: bytes, note: str) -> list[Problem]:
    found = []
    if not is_name(SECRET_PATTERN, name):
        found.append(Problem(pointer="/name", message="must be lower-case letters, digits and . _ -, at most 64"))
    if not MIN_SECRET_BYTES <= len(value) <= MAX_SECRET_BYTES:
        message = f"is {len(value)} bytes long; {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} are kept"
        found.append(Problem(pointer="/value", message=message))
    if b"\0" in value or not _is_text(value):
        found.append(Problem(pointer="/value", message="is no UTF-8 text; encode what is binary, as base64 say"))
    if len(note) > MAX_NOTE:
        found.append(Problem(pointer="/note", message=f"is longer than {MAX_NOTE} characters"))
    return found


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
