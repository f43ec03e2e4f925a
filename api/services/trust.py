"""Whom hosts believe: the trust note, made at the first start, and the keys that belong to it."""

import secrets
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from api import key_files
from api.database import snapshot, transaction
from api.errors import Misconfigured, NotFound
from api.key_files import Keys
from api.moments import micros
from api.principal import Principal
from api.repositories import trust as notes
from api.repositories.trust import TrustRow
from api.services import audit
from desired_state.names import digest_of
from desired_state.note import parse_note
from desired_state.trust import Trust, decode, encode, sign_trust


class Trusted(Struct, frozen=True, kw_only=True):
    """The trust note that counts, and the keys here that belong to it."""

    trust: Trust
    digest: str
    """Of the note's text: what join tokens pin."""
    keys: Keys


async def init(engine: AsyncEngine, folder: Path, base_url: str, by: Principal, *, now: datetime) -> Trusted:
    """The keys and the trust note, made when there are none; the same again on every later call.

    Raises Misconfigured when keys and database do not belong together: then somebody lost a folder or a database.
    """
    with key_files.only_one(folder):
        row = await newest(engine)
        keys = key_files.read_keys(folder)
        if row is None:
            name = urlsplit(base_url).hostname or "backend"
            keys = keys or key_files.make_keys(folder, name, secrets.token_bytes(96))
            row = await _first(engine, keys, by, now)
    return _fitting(row, keys, folder)


async def current(engine: AsyncEngine, folder: Path) -> Trusted:
    """The trust note that counts, and its keys. Raises Misconfigured before `init`."""
    row = await newest(engine)
    if row is None:
        raise Misconfigured("there is no trust yet; run: towline trust init")
    return _fitting(row, key_files.read_keys(folder), folder)


async def newest(engine: AsyncEngine) -> TrustRow | None:
    """The newest trust note; None before `init`."""
    async with snapshot(engine) as connection:
        return await notes.newest(connection)


async def version(engine: AsyncEngine, number: int | None) -> bytes:
    """The trust note of that version, or the newest. Raises NotFound."""
    async with snapshot(engine) as connection:
        row = await (notes.newest(connection) if number is None else notes.get(connection, number))
    if row is None:
        raise NotFound("there is no trust note" + (f" of version {number}" if number else " yet"))
    return row.note


def trust_of(row: TrustRow) -> Trust:
    """What a stored note says. It is ours: it was checked before it was stored."""
    return decode(parse_note(row.note).text)


async def _first(engine: AsyncEngine, keys: Keys, by: Principal, now: datetime) -> TrustRow:
    if keys.root is None:
        raise Misconfigured("the root key is not here, and without it the first trust note cannot be signed")
    first = Trust(
        schema="towline.trust/1",
        version=1,
        epoch=1,
        keys=(str(keys.publisher.verifier),),
        threshold=1,
        root_keys=(str(keys.root.verifier),),
        root_threshold=1,
        exchange_key=keys.exchange_public,
        issued_at=now.replace(microsecond=0),
    )
    note = sign_trust(first, (keys.root,))
    row = TrustRow(version=1, epoch=1, digest=digest_of(encode(first)), note=note, issued_at_us=micros(now))
    try:
        async with transaction(engine) as connection:
            await notes.add(connection, row)
            detail = {"publisher": first.keys[0], "digest": row.digest}
            await audit.append(
                connection, now=now, actor=by.actor, action="trust.created", subject="trust/1", detail=detail
            )
    except IntegrityError:
        # Another replica was first; whether its keys are ours is found out by the caller.
        return await newest(engine) or row
    return row


def _fitting(row: TrustRow, keys: Keys | None, folder: Path) -> Trusted:
    trust = trust_of(row)
    if keys is None:
        raise Misconfigured(
            f"the database holds trust version {row.version}, but {folder} holds no keys: copy them from the backend "
            "that made them (another replica, or your backup)"
        )
    if str(keys.publisher.verifier) not in trust.keys or keys.exchange_public != trust.exchange_key:
        raise Misconfigured(
            f"the keys in {folder} are not those of trust version {row.version} in the database: hosts would refuse "
            "what they sign. Copy the keys from the backend that made the trust, or use its database"
        )
    return Trusted(trust=trust, digest=row.digest, keys=keys)
