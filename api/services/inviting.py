"""Inviting a host: a one-time join token, and the command that brings the agent onto the host and lets it join."""

import asyncio
from datetime import datetime, timedelta

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.database import snapshot, transaction
from api.errors import Invalid
from api.moments import micros
from api.principal import Principal
from api.publish.artifacts import ArtifactStore
from api.repositories import catalogue, hosts
from api.repositories import trust as notes
from api.repositories.hosts import Held
from api.secret_text import new_id, new_secret
from api.services import agents, audit
from api.services.join_command import Way, by_hand, enrolling, pasted, way_problems
from desired_state.catalogue import PackageEntry, Problem
from desired_state.enrolment import JoinToken, secret_hash
from desired_state.names import HOST_PATTERN, Digest, digest_of, is_name


class Inviter(Struct, frozen=True, kw_only=True):
    """What this backend invites with."""

    base_url: str
    agentctl: bytes | None
    """The joined script; None where none is shipped."""
    store: ArtifactStore


class InvitedAgent(Struct, frozen=True, kw_only=True):
    """The agent that the join token names."""

    version: str
    file: str
    digest: Digest
    size: int
    agentctl_digest: Digest
    stored: bool
    """Whether the archive is in this backend's store; else the host must have it from a mirror or by hand."""


class Invitation(Struct, frozen=True, kw_only=True):
    """What a person carries to the host."""

    host: str
    join_token: str
    expires_at: datetime
    declared: bool
    """Whether the catalogue has the host: only then is there a document for it."""
    command: str
    """To paste on the host. It holds the token."""
    command_by_hand: str = ""
    """The same in a folder to which `agentctl.sh` and the archive were carried; empty without an agent."""
    agent: InvitedAgent | None = None
    """None: no archive of the agent is known here, and the command only enrols an agent that is there already."""


async def invite(
    engine: AsyncEngine,
    inviter: Inviter,
    by: Principal,
    host: str,
    *,
    now: datetime,
    lasts: timedelta,
    way: Way | None = None,
) -> Invitation:
    """Make a join token for the host; earlier ones that were not used are void. Raises Invalid."""
    way = way or Way()
    _check(host, way, inviter.base_url)
    secret, expires = new_secret(), (now + lasts).replace(microsecond=0)
    async with snapshot(engine) as connection:
        package = await agents.agent_for(connection, host)
    agent = await _named(inviter, package)
    if agent is not None and inviter.agentctl is not None:
        await agents.keep_agentctl(engine, inviter.agentctl, agent.agentctl_digest, now=now, until=expires)
    held = Held(
        id=new_id(),
        host=host,
        secret_hash=secret_hash(secret),
        created_by=by.actor,
        created_us=micros(now),
        expires_us=micros(expires),
    )
    async with transaction(engine) as connection:
        trust_digest = await _hold(connection, held, by=by, expires=expires, now=now, agent=agent)
        declared = await catalogue.entry(connection, "host", host) is not None
    token = JoinToken(
        host=host,
        id=held.id,
        secret=secret,
        backend_url=inviter.base_url,
        trust_digest=trust_digest,
        expires_at=expires,
        agentctl_digest=agent.agentctl_digest if agent else "",
        agent_digest=agent.digest if agent else "",
        agent_size=agent.size if agent else 0,
        agent_version=agent.version if agent else "",
    )
    return _invitation(token, declared, agent, way)


def _check(host: str, way: Way, base_url: str) -> None:
    problems = way_problems(way, base_url)
    if not is_name(HOST_PATTERN, host) or len(host) > 128:
        rule = "lower-case letters, digits and hyphens, dots between labels, at most 128"
        problems = (Problem(pointer="/host", message=f"{host!r} is not a host name: {rule}"), *problems)
    if problems:
        raise Invalid("nobody is invited", problems)


async def _named(inviter: Inviter, package: PackageEntry | None) -> InvitedAgent | None:
    if package is None or inviter.agentctl is None:
        return None
    return InvitedAgent(
        version=package.version,
        file=package.file,
        digest=package.digest,
        size=package.size,
        agentctl_digest=digest_of(inviter.agentctl),
        stored=await asyncio.to_thread(inviter.store.find, package.digest) is not None,
    )


async def _hold(
    connection: AsyncConnection,
    held: Held,
    *,
    by: Principal,
    expires: datetime,
    now: datetime,
    agent: InvitedAgent | None,
) -> Digest:
    """Store the token and a line of the audit log; the digest of the trust note that the token pins."""
    trust = await notes.newest(connection)
    if trust is None:
        raise Invalid("there is no trust yet; run: towline trust init")
    await hosts.put_join_token(connection, held)
    detail = {"token": held.id, "expires_at": expires.isoformat()}
    if agent is not None:
        detail["agent"] = agent.version
    await audit.append(
        connection, now=now, actor=by.actor, action="host.invited", subject=f"host/{held.host}", detail=detail
    )
    return trust.digest


def _invitation(token: JoinToken, declared: bool, agent: InvitedAgent | None, way: Way) -> Invitation:
    text = token.encode()
    command, carried = enrolling(text), ""
    if agent is not None:
        hexed = agent.agentctl_digest.removeprefix("sha256:")
        wheels = agent.file.endswith(agents.WHEELS)
        command = pasted(text, backend_url=token.backend_url, agentctl_hex=hexed, way=way, wheels=wheels)
        carried = by_hand(text, way=way, wheels=wheels)
    return Invitation(
        host=token.host,
        join_token=text,
        expires_at=token.expires_at,
        declared=declared,
        command=command,
        command_by_hand=carried,
        agent=agent,
    )
