"""Whom hosts believe: the trust note, made at the first start, and the keys that belong to it.

The first publisher's key in a note is the one that signs; those after it are still believed. A rotation puts a new
one first. `withdraw` leaves the others out and raises the epoch: what they signed, and will sign, counts no more.
A new root key comes with a new publisher's key: hosts look for the next note when they meet what that one signed.
"""

import secrets
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct, structs
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from api import key_files
from api.database import snapshot, transaction
from api.errors import Conflict, Invalid, Misconfigured, NotFound
from api.key_files import Keys
from api.moments import micros
from api.principal import Principal
from api.repositories import trust as notes
from api.repositories.trust import TrustRow
from api.services import audit
from desired_state.names import digest_of
from desired_state.note import SigningKey, parse_note
from desired_state.trust import Trust, TrustRefused, accept_trust, decode, encode, sign_trust

MAX_KEYS = 20
"""So many publisher's keys are trusted at once: a note stays small, and old keys are withdrawn one day."""


class Trusted(Struct, frozen=True, kw_only=True):
    """The trust note that counts, and the keys here that belong to it."""

    trust: Trust
    digest: str
    """Of the note's text: what join tokens pin."""
    keys: Keys

    @property
    def signs(self) -> bool:
        """Whether the key here is the one that signs; an older one is believed, and publishes nothing."""
        return str(self.keys.publisher.verifier) == self.trust.keys[0]


async def init(engine: AsyncEngine, folder: Path, base_url: str, by: Principal, *, now: datetime) -> Trusted:
    """The keys and the trust note, made when there are none; the same again on every later call.

    Raises Misconfigured when keys and database do not belong together: then somebody lost a folder or a database.
    """
    with key_files.only_one(folder):
        row = await newest(engine)
        keys = _settled(folder, row)
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
    return _fitting(row, _settled(folder, row), folder)


async def rotate(
    engine: AsyncEngine,
    folder: Path,
    by: Principal,
    *,
    now: datetime,
    withdraw: bool = False,
    root_key: Path | None = None,
    new_root: bool = False,
) -> Trusted:
    """A new publisher's key, and the next trust note, which names it first. Cut off anywhere, it can be called again.

    `new_root`: a new root key as well, in the folder; the former signs for the last time.

    Raises Misconfigured where the root key is neither in the folder nor in the file `root_key`, Invalid for a root key
    that hosts do not know, Conflict when another rotates at the same moment.
    """
    with key_files.only_one(folder):
        before = await current(engine, folder)
        root = key_files.read_signing_key(root_key) if root_key is not None else before.keys.root
        if root is None:
            raise Misconfigured(f"the root key is not in {folder}, and nothing else signs trust: give it by --root-key")
        new = SigningKey.generate(before.keys.publisher.name, secrets.token_bytes(32))
        roots = (SigningKey.generate(root.name, secrets.token_bytes(32)), root) if new_root else (root,)
        row, following = _next(before.trust, new, roots, withdraw=withdraw, now=now)
        key_files.stage_publisher(folder, new)
        if new_root:
            key_files.stage_root(folder, roots[0])
        try:
            async with transaction(engine) as connection:
                await notes.add(connection, row)
                detail = {"publisher": following.keys[0], "epoch": str(row.epoch), "withdrawn": str(withdraw).lower()}
                if new_root:
                    detail["root"] = following.root_keys[0]
                subject = f"trust/{row.version}"
                await audit.append(
                    connection, now=now, actor=by.actor, action="trust.rotated", subject=subject, detail=detail
                )
        except IntegrityError as error:
            raise Conflict("another rotated the keys at the same moment; look with: towline trust show") from error
        return await current(engine, folder)


def _next(
    before: Trust, new: SigningKey, roots: tuple[SigningKey, ...], *, withdraw: bool, now: datetime
) -> tuple[TrustRow, Trust]:
    """The next note. Of two roots the first is believed from now on, and the second hands over to it."""
    following = structs.replace(
        before,
        version=before.version + 1,
        epoch=before.epoch + (1 if withdraw else 0),
        keys=(str(new.verifier),) if withdraw else (str(new.verifier), *before.keys),
        root_keys=before.root_keys if len(roots) == 1 else (str(roots[0].verifier),),
        issued_at=now.astimezone(UTC).replace(microsecond=0),
    )
    if len(following.keys) > MAX_KEYS:
        raise Invalid(f"{MAX_KEYS} keys are trusted already; withdraw the old ones: towline trust rotate --withdraw")
    note = sign_trust(following, roots)
    try:
        accept_trust(before, None, note)  # as every host will
    except TrustRefused as error:
        raise Invalid(f"hosts would refuse this trust note: it {error}") from error
    row = TrustRow(
        version=following.version,
        epoch=following.epoch,
        digest=digest_of(encode(following)),
        note=note,
        issued_at_us=micros(now),
    )
    return row, following


def _settled(folder: Path, row: TrustRow | None) -> Keys | None:
    if row is not None:
        key_files.settle_publisher(folder, trust_of(row).keys[0])
        key_files.settle_root(folder, trust_of(row).root_keys)
    return key_files.read_keys(folder)


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
