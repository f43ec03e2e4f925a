"""The agent as the backend knows it: which one a host is invited with, and the files that anybody may have.

Public are exactly two things: the joined `agentctl.sh` that a join token named, and the archives of the package
`towline-agent`. A host that is about to join has no key yet to ask with; digests in its join token say what it got.
"""

import asyncio
import re
from datetime import datetime
from pathlib import Path

from msgspec import Struct
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.database import snapshot, transaction
from api.errors import Misconfigured, NotFound
from api.moments import micros
from api.publish.artifacts import ArtifactStore
from api.publish.bundle import Scripts
from api.repositories import agents, catalogue
from api.services.catalogue import decoded
from desired_state.catalogue import HostEntry, PackageEntry, ServiceEntry, selects
from desired_state.joined_script import NotJoinable, joined
from desired_state.names import DIGEST_PATTERN, Digest, is_name
from desired_state.placement import on_host

KIND = "agent"
PACKAGE = "towline-agent"
ROLE = "release"
SCRIPT = "agentctl.sh"
SELF_CONTAINED = "linux-x86_64.tar.gz"
"""How the file's name of an archive ends that needs nothing on the host."""
WHEELS = "-wheels.tar.gz"
"""How that of the other one ends, which needs a Python there and runs on any machine."""
_PART = re.compile(r"(\d+)|([A-Za-z]+)")


class Offered(Struct, frozen=True, kw_only=True):
    """A file that anybody may have."""

    name: str
    content: bytes | Path


def agentctl_of(shipped: Scripts) -> bytes | None:
    """The one file that a host begins with; None where no such script is shipped. Raises Misconfigured."""
    if SCRIPT not in shipped:
        return None
    try:
        return joined(SCRIPT, shipped)
    except NotJoinable as error:
        raise Misconfigured(f"the shipped scripts are damaged: {error}; install towline again") from error


async def agent_for(connection: AsyncConnection, host: str) -> PackageEntry | None:
    """The agent that a host shall begin with: the one that the catalogue declares there, else the newest known."""
    known = await agents.packages(connection, PACKAGE)
    row = await catalogue.entry(connection, "host", host)
    entry = decoded(row) if row is not None else None
    if isinstance(entry, HostEntry):
        for service in await agents.services(connection, KIND):
            declared = _declared(on_host(service, host), known) if selects(service.placed, entry) else None
            if declared is not None:
                return declared
    fit = [one for one in known if one.file.endswith(SELF_CONTAINED)]
    return max(fit, key=lambda one: age_of(one.version), default=None)


def _declared(service: ServiceEntry, known: list[PackageEntry]) -> PackageEntry | None:
    if service.state == "absent":
        return None
    named = service.packages.get(ROLE, f"{PACKAGE}-{service.version}")
    return next((one for one in known if one.name == named), None)


def age_of(version: str) -> tuple[tuple[int, int, str], ...]:
    """What versions sort by, oldest first: numbers as numbers, and letters (`1.0rc1`) before the version itself."""
    parts = [(2, int(number[:18]), "") if number else (0, 0, letters) for number, letters in _PART.findall(version)]
    return (*parts, (1, 0, ""))


async def keep_agentctl(engine: AsyncEngine, body: bytes, digest: Digest, *, now: datetime, until: datetime) -> None:
    """Have the script served at least until then."""
    for last in (False, True):
        try:
            async with transaction(engine) as connection:
                await agents.keep_script(
                    connection, digest=digest, body=body, added_us=micros(now), expires_us=micros(until)
                )
        except IntegrityError:  # another invitation kept it at the same moment: the second time it is there
            if last:
                raise
        else:
            return


async def offered(engine: AsyncEngine, store: ArtifactStore, digest: Digest) -> Offered:
    """The public file with those bytes. Raises NotFound for everything else, whether it is here or not."""
    if is_name(DIGEST_PATTERN, digest):
        async with snapshot(engine) as connection:
            script = await agents.script(connection, digest)
            package = None if script is not None else await agents.is_package(connection, PACKAGE, digest)
        if script is not None:
            return Offered(name=SCRIPT, content=script)
        path = await asyncio.to_thread(store.find, digest) if package is not None else None
        if package is not None and path is not None:
            return Offered(name=package.file, content=path)
    raise NotFound("no agent with this digest is offered here: was it added with `towline package add`?")
