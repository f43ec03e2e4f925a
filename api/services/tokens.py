"""API tokens: made, listed, ended, and recognised."""

from datetime import datetime

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.database import snapshot, transaction
from api.errors import Invalid, NotFound
from api.moments import micros, moment
from api.principal import PERMISSIONS_OF, Permission, Principal, Role
from api.repositories import tokens
from api.repositories.tokens import TokenRow
from api.secret_text import API_TOKEN_PREFIX, hash_of, new_id, new_secret
from api.services import audit
from desired_state.catalogue import Problem

_USE_NOTED_EVERY_US = 60_000_000


class Token(Struct, frozen=True, kw_only=True):
    """An API token as it is shown."""

    id: str
    name: str
    role: Role
    scopes: tuple[str, ...]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    used_at: datetime | None


class NewToken(Struct, frozen=True, kw_only=True):
    """A token that was just made: the only time that its secret is told."""

    token: Token
    secret: str


class Tokens(Struct, frozen=True, kw_only=True):
    """A page of tokens."""

    items: tuple[Token, ...]
    next: str | None = None
    """What to give as `after` for the page that follows; null on the last."""


async def create(
    engine: AsyncEngine,
    by: Principal,
    *,
    name: str,
    role: Role,
    scopes: tuple[str, ...] = (),
    expires_at: datetime | None = None,
    now: datetime,
) -> NewToken:
    """Make a token and tell its secret, once."""
    _check(role, scopes, expires_at, now)
    secret = API_TOKEN_PREFIX + new_secret()
    row = TokenRow(
        id=new_id(),
        name=name,
        role=role,
        scopes=" ".join(sorted(set(scopes))),
        created_by=by.actor,
        created_us=micros(now),
        expires_us=micros(expires_at) if expires_at else None,
        revoked_us=None,
        used_us=None,
    )
    async with transaction(engine) as connection:
        await tokens.add(connection, row, hash_of(secret, "api token"))
        detail = {"name": name, "role": role, "scopes": row.scopes}
        await audit.append(
            connection, now=now, actor=by.actor, action="token.created", subject=f"token/{row.id}", detail=detail
        )
    return NewToken(token=_shown(row), secret=secret)


async def revoke(engine: AsyncEngine, by: Principal, token_id: str, *, now: datetime) -> None:
    """End a token and all sessions that came of it. Raises NotFound."""
    async with transaction(engine) as connection:
        if await tokens.get(connection, token_id) is None:
            raise NotFound(f"there is no token {token_id}")
        if await tokens.revoke(connection, token_id, micros(now)):
            await audit.append(connection, now=now, actor=by.actor, action="token.revoked", subject=f"token/{token_id}")


async def listed(engine: AsyncEngine, *, after: str = "", limit: int = 100) -> Tokens:
    """A page of tokens, those that ended too."""
    async with snapshot(engine) as connection:
        rows = await tokens.page(connection, after, limit + 1)
    items = tuple(_shown(row) for row in rows[:limit])
    return Tokens(items=items, next=items[-1].id if len(rows) > limit else None)


async def admin_exists(engine: AsyncEngine, *, now: datetime) -> bool:
    """Whether anybody can administer this backend."""
    async with snapshot(engine) as connection:
        return await tokens.any_counts(connection, Role.ADMIN, micros(now))


async def recognised(engine: AsyncEngine, secret: str, *, now: datetime) -> Principal | None:
    """Who has this API token; None when nobody has."""
    async with snapshot(engine) as connection:
        row = await tokens.by_secret(connection, hash_of(secret, "api token"), micros(now))
    if row is None:
        return None
    if row.used_us is None or micros(now) - row.used_us > _USE_NOTED_EVERY_US:
        async with transaction(engine) as connection:
            await tokens.note_use(connection, row.id, micros(now))
    return principal_of(row)


async def find(connection: AsyncConnection, secret: str, *, now: datetime) -> TokenRow | None:
    """The token with this secret, if it counts now."""
    return await tokens.by_secret(connection, hash_of(secret, "api token"), micros(now))


def principal_of(row: TokenRow, *, csrf_token: str = "") -> Principal:
    """Whom a token makes of its bearer: its role, narrowed by its scopes."""
    role = Role(row.role)
    permissions = PERMISSIONS_OF[role]
    if row.scopes:
        permissions &= {Permission.PUBLIC, *(Permission(scope) for scope in row.scopes.split())}
    return Principal(
        actor=f"token:{row.name}", permissions=permissions, role=role, token_id=row.id, csrf_token=csrf_token
    )


def _check(role: Role, scopes: tuple[str, ...], expires_at: datetime | None, now: datetime) -> None:
    problems = [
        Problem(pointer=f"/scopes/{index}", message=f"{scope!r} is not a permission of the role {role}")
        for index, scope in enumerate(scopes)
        if scope not in PERMISSIONS_OF[role] - {Permission.PUBLIC}
    ]
    if expires_at is not None and expires_at <= now:
        problems.append(Problem(pointer="/expires_at", message="is over already"))
    if problems:
        raise Invalid("the token is not made", tuple(problems))


def _shown(row: TokenRow) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        scopes=tuple(row.scopes.split()),
        created_by=row.created_by,
        created_at=moment(row.created_us),
        expires_at=_moment(row.expires_us),
        revoked_at=_moment(row.revoked_us),
        used_at=_moment(row.used_us),
    )


def _moment(value: int | None) -> datetime | None:
    return None if value is None else moment(value)
