"""How hosts get in: let in once by a join token, known by their keys from then on. `inviting` made the token."""

from collections.abc import Mapping
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.database import snapshot, transaction
from api.errors import Forbidden, Unauthenticated
from api.moments import micros, moment
from api.repositories import hosts
from api.repositories import trust as notes
from api.repositories.hosts import Held, Identity
from api.services import audit
from desired_state.enrolment import (
    EnrolmentAnswer,
    EnrolmentRefused,
    EnrolmentRequest,
    HeldToken,
    SourceSettings,
    check_token,
    read_enrolment,
    sealing_key_of,
)
from desired_state.request_signature import RequestRefused, SharedKey, check_request, keyid_of, shared_key

NOT_LET_IN = "this host is not let in; ask who invited it to look at the audit log, and to invite it again"
"""The same text for all reasons but expiry: whoever guesses learns nothing. The audit log has the reason."""


async def enrol(
    engine: AsyncEngine,
    body: bytes,
    target: str,
    headers: Mapping[str, str],
    *,
    sources: tuple[SourceSettings, ...],
    now: datetime,
) -> EnrolmentAnswer:
    """Let a host in, once; the one that got in is answered again. Raises Forbidden; refusals are audited."""
    host = ""
    try:
        request = read_enrolment(body, target, headers, now=now)
        host = request.host
        async with transaction(engine) as connection:
            trust = await _let_in(connection, request, now)
    except EnrolmentRefused as error:
        await _note_refusal(engine, host, str(error), now)
        expired = "expired" in str(error)
        raise Forbidden(str(error) if expired else NOT_LET_IN) from error
    return EnrolmentAnswer(host=request.host, trust=trust.decode(), sources=sources)


async def authenticated_host(
    engine: AsyncEngine,
    own: X25519PrivateKey,
    *,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes | None,
    now: datetime,
) -> str:
    """Which host signed this request. Raises Unauthenticated, with the reason and no secret."""
    try:
        host = keyid_of(headers)
        key = await request_key(engine, own, host)
        return check_request(method, target, headers, body, key=key, now=now.timestamp())
    except RequestRefused as error:
        raise Unauthenticated(f"the request {error}") from error


async def request_key(engine: AsyncEngine, own: X25519PrivateKey, host: str) -> SharedKey:
    """The key that both sides derived for the requests of that host. Raises Unauthenticated for an unknown host."""
    async with snapshot(engine) as connection:
        known = await hosts.identity(connection, host)
    if known is None:
        raise Unauthenticated(f"no host {host} is enrolled here; invite it: towline host invite {host}")
    return shared_key(own, sealing_key_of(known.sealing_key), host)


async def _let_in(connection: AsyncConnection, request: EnrolmentRequest, now: datetime) -> bytes:
    held = await hosts.given_join_token(connection, request.token_id)
    check_token(request, _held(held), now=now)
    assert held is not None  # noqa: S101 - check_token refuses a token that is not known
    if held.used_us is not None:
        await _is_the_same_again(connection, request, held, now)
    elif await hosts.use_join_token(connection, request.token_id, micros(now)):
        await _becomes_known(connection, request, held, now)
    else:
        raise EnrolmentRefused(f"join token {request.token_id} was used by another at the same moment")
    # The note that was there when the token was made: its digest is the one that the token pins.
    trust = await notes.newest(connection, until_us=held.created_us)
    if trust is None:
        raise EnrolmentRefused(f"join token {request.token_id} is older than the trust note; invite again")
    return trust.note


async def _is_the_same_again(connection: AsyncConnection, request: EnrolmentRequest, held: Held, now: datetime) -> None:
    """Passes for a host that never heard the answer and asks again, with the keys that got in by this very token.

    It has proven that it holds them, and is told what it was told; nothing changes. Raises EnrolmentRefused for others.
    """
    known = await hosts.identity(connection, request.host)
    same = known is not None and (known.identity_key, known.sealing_key, known.enrolled_at_us) == (
        request.identity_key,
        request.sealing_key,
        held.used_us,
    )
    if not same:
        raise EnrolmentRefused(
            f"join token {request.token_id} was used already, with other keys; invite the host again"
        )
    await audit.append(
        connection,
        now=now,
        actor=f"host:{request.host}",
        action="host.enrolment_repeated",
        subject=f"host/{request.host}",
        detail={"token": held.id, "invited_by": held.created_by},
    )


async def _becomes_known(connection: AsyncConnection, request: EnrolmentRequest, held: Held, now: datetime) -> None:
    identity = Identity(
        host=request.host,
        identity_key=request.identity_key,
        sealing_key=request.sealing_key,
        enrolled_at_us=micros(now),
        agent_version=request.agent_version[:64],
    )
    replaced = await hosts.put_identity(connection, identity)
    await audit.append(
        connection,
        now=now,
        actor=f"host:{request.host}",
        action="host.enrolled",
        subject=f"host/{request.host}",
        detail={"token": held.id, "invited_by": held.created_by, "replaced": str(replaced).lower()},
    )


def _held(row: Held | None) -> HeldToken | None:
    if row is None:
        return None
    return HeldToken(host=row.host, id=row.id, secret_hash=row.secret_hash, expires_at=moment(row.expires_us))


async def _note_refusal(engine: AsyncEngine, host: str, reason: str, now: datetime) -> None:
    async with transaction(engine) as connection:
        await audit.append(
            connection,
            now=now,
            actor="anonymous",
            action="enrolment.refused",
            subject=f"host/{host}" if host else "enrolment",
            detail={"reason": reason[:500]},
        )
