"""/v1/hosts, /v1/enrolments: hosts are invited, let in, suspended and resumed."""

import time
from datetime import timedelta
from typing import Annotated, Any

from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta, Struct

from api.backend import Backend
from api.controllers.bounds import PathHost
from api.errors import Forbidden
from api.principal import Permission, Principal
from api.services import enrolment, hosts, inviting
from api.services.inviting import Invitation
from api.services.join_command import Way
from api.web.guard import request_target
from desired_state.enrolment import EnrolmentAnswer, SourceSettings
from desired_state.names import Text, Timestamp


class InvitationRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the join token counts (without a word, as long as the settings say), and how the agent gets there."""

    hours: Annotated[int, Meta(ge=1, le=24 * 30)] | None = None
    mirror: str = ""
    """A URL that has the agent's files as `<mirror>/sha256/<hex>`."""
    ca_file: str = ""
    """A file on the host with the CAs to trust."""
    prefix: str = ""
    """The folder on the host below which towline keeps everything."""


class Suspension(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a host is left alone, and until when; without `until`, until it is resumed."""

    reason: Text
    until: Timestamp | None = None


@post("/v1/hosts/{name:str}/invitation", permission=Permission.HOSTS_INVITE)
async def invite(
    name: PathHost,
    data: JSONBody[InvitationRequest],
    backend: NamedDependency[Backend],
    principal: NamedDependency[Principal],
) -> Invitation:
    """Make a one-time join token, and the command to paste. They are told once; earlier ones for this host are void."""
    lasts = timedelta(hours=data.hours or backend.settings.hosts.join_token_hours)
    way = Way(mirror=data.mirror, ca_file=data.ca_file, prefix=data.prefix)
    return await inviting.invite(
        backend.engine, backend.inviter, principal, name, now=backend.now(), lasts=lasts, way=way
    )


@post("/v1/hosts/{name:str}/suspend", permission=Permission.HOSTS_SUSPEND, status_code=204)
async def suspend(
    name: PathHost,
    data: JSONBody[Suspension],
    backend: NamedDependency[Backend],
    principal: NamedDependency[Principal],
) -> None:
    """Leave the host alone, from its next document on."""
    await hosts.suspend(backend.engine, principal, name, reason=data.reason, until=data.until, now=backend.now())


@post("/v1/hosts/{name:str}/resume", permission=Permission.HOSTS_SUSPEND, status_code=204)
async def resume(name: PathHost, backend: NamedDependency[Backend], principal: NamedDependency[Principal]) -> None:
    """Take the suspension back."""
    await hosts.resume(backend.engine, principal, name, now=backend.now())


@post("/v1/enrolments", permission=Permission.PUBLIC)
async def enrol(request: Request[Any, Any, Any], backend: NamedDependency[Backend]) -> EnrolmentAnswer:
    """Let a host in: the body is an EnrolmentRequest, signed with the new identity key (RFC 9421, ed25519)."""
    address = request.client.host if request.client else ""
    backend.throttle.check(address, time.monotonic())
    try:
        return await enrolment.enrol(
            backend.engine,
            await request.body(),
            request_target(request),
            request.headers,
            sources=_sources(backend),
            now=backend.now(),
        )
    except Forbidden:
        backend.throttle.note_failure(address, time.monotonic())
        raise


def _sources(backend: Backend) -> tuple[SourceSettings, ...]:
    """Where a host may ask for its document: here, and where documents are put."""
    git = backend.settings.publish.git
    found = [SourceSettings(type="http", url=backend.settings.server.url)]
    if git is not None:
        found.append(SourceSettings(type="git", url=git.url, branch=git.branch))
    return tuple(found)


ROUTES = (invite, suspend, resume, enrol)
