"""Questions about API tokens, sessions and sign-in links."""

from msgspec import Struct
from sqlalchemy import and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ColumnElement

from api.models import api_token, session, signin_link


class TokenRow(Struct, frozen=True, kw_only=True):
    """A token, without the hash of its secret."""

    id: str
    name: str
    role: str
    scopes: str
    created_by: str
    created_us: int
    expires_us: int | None
    revoked_us: int | None
    used_us: int | None


_COLUMNS = [api_token.c[name] for name in TokenRow.__struct_fields__]


def _valid(now_us: int) -> ColumnElement[bool]:
    return and_(
        api_token.c.revoked_us.is_(None), or_(api_token.c.expires_us.is_(None), api_token.c.expires_us > now_us)
    )


async def add(connection: AsyncConnection, row: TokenRow, secret_hash: str) -> None:
    """Store a new token."""
    values = {name: getattr(row, name) for name in TokenRow.__struct_fields__}
    await connection.execute(insert(api_token).values(**values, secret_hash=secret_hash))


async def by_secret(connection: AsyncConnection, secret_hash: str, now_us: int) -> TokenRow | None:
    """The token with this secret, if it counts now."""
    question = select(*_COLUMNS).where(api_token.c.secret_hash == secret_hash, _valid(now_us))
    row = (await connection.execute(question)).mappings().first()
    return TokenRow(**row) if row else None


async def by_session(connection: AsyncConnection, secret_hash: str, now_us: int) -> TokenRow | None:
    """The token behind this session, if both count now."""
    question = (
        select(*_COLUMNS)
        .join(session, session.c.token_id == api_token.c.id)
        .where(session.c.secret_hash == secret_hash, session.c.expires_us > now_us, _valid(now_us))
    )
    row = (await connection.execute(question)).mappings().first()
    return TokenRow(**row) if row else None


async def get(connection: AsyncConnection, token_id: str) -> TokenRow | None:
    """The token of that id, whether it counts or not."""
    row = (await connection.execute(select(*_COLUMNS).where(api_token.c.id == token_id))).mappings().first()
    return TokenRow(**row) if row else None


async def page(connection: AsyncConnection, after: str, limit: int) -> list[TokenRow]:
    """Tokens by id."""
    question = select(*_COLUMNS).where(api_token.c.id > after).order_by(api_token.c.id).limit(limit)
    return [TokenRow(**row) for row in (await connection.execute(question)).mappings()]


async def any_counts(connection: AsyncConnection, role: str, now_us: int) -> bool:
    """Whether there is a token of that role that counts now."""
    question = select(api_token.c.id).where(api_token.c.role == role, _valid(now_us)).limit(1)
    return (await connection.scalar(question)) is not None


async def revoke(connection: AsyncConnection, token_id: str, now_us: int) -> bool:
    """End the token and its sessions; whether it counted until now."""
    question = update(api_token).where(api_token.c.id == token_id, api_token.c.revoked_us.is_(None))
    done = await connection.execute(question.values(revoked_us=now_us))
    await connection.execute(delete(session).where(session.c.token_id == token_id))
    return done.rowcount == 1


async def note_use(connection: AsyncConnection, token_id: str, now_us: int) -> None:
    """Remember when it was used."""
    await connection.execute(update(api_token).where(api_token.c.id == token_id).values(used_us=now_us))


async def add_session(
    connection: AsyncConnection, *, secret_hash: str, token_id: str, created_us: int, expires_us: int
) -> None:
    """Store a new session."""
    values = {"secret_hash": secret_hash, "token_id": token_id, "created_us": created_us, "expires_us": expires_us}
    await connection.execute(insert(session).values(**values))


async def drop_session(connection: AsyncConnection, secret_hash: str) -> None:
    """End a session."""
    await connection.execute(delete(session).where(session.c.secret_hash == secret_hash))


async def drop_expired(connection: AsyncConnection, now_us: int) -> None:
    """Delete sessions and links that no longer count."""
    await connection.execute(delete(session).where(session.c.expires_us <= now_us))
    await connection.execute(delete(signin_link).where(signin_link.c.expires_us <= now_us))


async def add_link(
    connection: AsyncConnection, *, secret_hash: str, token_id: str, created_us: int, expires_us: int
) -> None:
    """Store a new one-time link."""
    values = {"secret_hash": secret_hash, "token_id": token_id, "created_us": created_us, "expires_us": expires_us}
    await connection.execute(insert(signin_link).values(**values))


async def use_link(connection: AsyncConnection, secret_hash: str, now_us: int) -> TokenRow | None:
    """Use the link up and return its token, or None: it is not known, was used, or is over. One update decides."""
    question = update(signin_link).where(
        signin_link.c.secret_hash == secret_hash, signin_link.c.used_us.is_(None), signin_link.c.expires_us > now_us
    )
    if (await connection.execute(question.values(used_us=now_us))).rowcount != 1:
        return None
    token_id = await connection.scalar(select(signin_link.c.token_id).where(signin_link.c.secret_hash == secret_hash))
    row = await get(connection, str(token_id))
    counts = row is not None and row.revoked_us is None and (row.expires_us is None or row.expires_us > now_us)
    return row if counts else None
