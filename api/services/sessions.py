"""Sessions of browsers: a token or a one-time link is exchanged for one; the server keeps it, a cookie names it."""

import hmac
from datetime import datetime, timedelta
from hashlib import sha256

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.database import snapshot, transaction
from api.errors import NotFound, Unauthenticated
from api.moments import micros, moment
from api.principal import Principal
from api.repositories import tokens
from api.repositories.tokens import TokenRow
from api.secret_text import hash_of, new_secret
from api.services import audit
from api.services.tokens import find, principal_of


class NewSession(Struct, frozen=True, kw_only=True):
    """A session that was just made."""

    secret: str
    """For the cookie."""
    expires_at: datetime
    principal: Principal


async def sign_in(engine: AsyncEngine, token: str, *, now: datetime, lasts: timedelta) -> NewSession:
    """Exchange an API token for a session. Raises Unauthenticated; a failure is audited."""
    async with transaction(engine) as connection:
        row = await find(connection, token.strip(), now=now)
        if row is not None:
            return await _start(connection, row, now=now, lasts=lasts, way="token")
        await _note_failure(connection, now, "token")
    raise Unauthenticated("this API token is not known, or it ended; `towline token create` makes one")


async def follow_link(engine: AsyncEngine, secret: str, *, now: datetime, lasts: timedelta) -> NewSession:
    """Exchange a one-time link for a session. Raises Unauthenticated; a failure is audited."""
    async with transaction(engine) as connection:
        row = await tokens.use_link(connection, hash_of(secret, "sign-in link"), micros(now))
        if row is not None:
            return await _start(connection, row, now=now, lasts=lasts, way="link")
        await _note_failure(connection, now, "link")
    raise Unauthenticated("this sign-in link was used already, or it is over; `towline token create --link` makes one")


async def create_link(engine: AsyncEngine, token_id: str, *, now: datetime, lasts: timedelta) -> str:
    """The secret of a link that signs in once as this token. Raises NotFound."""
    secret = new_secret()
    async with transaction(engine) as connection:
        if await tokens.get(connection, token_id) is None:
            raise NotFound(f"there is no token {token_id}")
        await tokens.add_link(
            connection,
            secret_hash=hash_of(secret, "sign-in link"),
            token_id=token_id,
            created_us=micros(now),
            expires_us=micros(now + lasts),
        )
    return secret


async def recognised(engine: AsyncEngine, secret: str, *, now: datetime) -> Principal | None:
    """Whose session this is; None when it is over."""
    async with snapshot(engine) as connection:
        row = await tokens.by_session(connection, hash_of(secret, "session"), micros(now))
    return principal_of(row, csrf_token=csrf_token(secret)) if row else None


async def sign_out(engine: AsyncEngine, secret: str) -> None:
    """End the session, if there is one."""
    async with transaction(engine) as connection:
        await tokens.drop_session(connection, hash_of(secret, "session"))


def csrf_token(session_secret: str) -> str:
    """What an unsafe request of this session must carry beside the cookie. Derived, so that nothing more is stored."""
    return hmac.digest(session_secret.encode(), b"towline csrf 1", sha256).hex()


async def _start(
    connection: AsyncConnection, row: TokenRow, *, now: datetime, lasts: timedelta, way: str
) -> NewSession:
    secret = new_secret()
    ends = now + lasts
    if row.expires_us is not None:
        ends = min(ends, moment(row.expires_us))
    await tokens.drop_expired(connection, micros(now))
    await tokens.add_session(
        connection,
        secret_hash=hash_of(secret, "session"),
        token_id=row.id,
        created_us=micros(now),
        expires_us=micros(ends),
    )
    principal = principal_of(row, csrf_token=csrf_token(secret))
    await audit.append(
        connection,
        now=now,
        actor=principal.actor,
        action="session.started",
        subject=f"token/{row.id}",
        detail={"by": way},
    )
    return NewSession(secret=secret, expires_at=ends, principal=principal)


async def _note_failure(connection: AsyncConnection, now: datetime, way: str) -> None:
    await audit.append(
        connection, now=now, actor="anonymous", action="session.refused", subject="session", detail={"by": way}
    )
