"""What people say of a host beside the catalogue: suspended for a while, and resumed."""

from datetime import datetime

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import snapshot, transaction
from api.errors import Conflict, Invalid, NotFound
from api.moments import micros, moment
from api.principal import Principal
from api.publish.rolls import Hold
from api.repositories import catalogue, hosts, publications
from api.repositories.hosts import OverrideRow
from api.services import audit
from desired_state.catalogue import Problem
from desired_state.document import Mode


class Known(Struct, frozen=True, kw_only=True):
    """A host, from all that the backend knows beside its status."""

    host: str
    declared: bool
    enrolled: bool
    override: str
    """What was said of it, in words; empty when nothing was."""
    held: tuple[Hold, ...] = ()
    """What of its document goes on as published though something else is declared."""


async def suspend(
    engine: AsyncEngine,
    by: Principal,
    host: str,
    *,
    reason: str,
    until: datetime | None,
    now: datetime,
    mode: Mode = "suspended",
) -> None:
    """Nothing is changed on the host until `until`, or until it is resumed. Raises NotFound, Invalid."""
    problems = []
    if not reason.strip():
        problems.append(Problem(pointer="/reason", message="say why: the next one who looks wants to know"))
    if until is not None and until <= now:
        problems.append(Problem(pointer="/until", message="is over already"))
    if problems:
        raise Invalid(f"{host} is not suspended", tuple(problems))
    row = OverrideRow(
        host=host,
        mode=mode,
        reason=reason.strip(),
        until_us=micros(until) if until else None,
        actor=by.actor,
        at_us=micros(now),
    )
    async with transaction(engine) as connection:
        if await catalogue.entry(connection, "host", host) is None:
            raise NotFound(f"the catalogue has no host {host}")
        await hosts.put_override(connection, row)
        await publications.tell(connection, micros(now), "host", [host])
        detail = {"reason": row.reason[:500], "until": until.isoformat() if until else "", "mode": mode}
        await audit.append(
            connection, now=now, actor=by.actor, action="host.suspended", subject=f"host/{host}", detail=detail
        )


async def resume(engine: AsyncEngine, by: Principal, host: str, *, now: datetime) -> None:
    """What was said with `suspend` is taken back. Raises NotFound, and Conflict when nothing was."""
    async with transaction(engine) as connection:
        if not await hosts.drop_override(connection, host):
            declared = await catalogue.entry(connection, "host", host)
            if declared is None:
                raise NotFound(f"the catalogue has no host {host}")
            raise Conflict(f"{host} was not suspended here; is its mode set in the catalogue?")
        await publications.tell(connection, micros(now), "host", [host])
        await audit.append(connection, now=now, actor=by.actor, action="host.resumed", subject=f"host/{host}")


async def known(engine: AsyncEngine, *, now: datetime) -> list[Known]:
    """Every host that is declared or enrolled."""
    async with snapshot(engine) as connection:
        declared, enrolled = await hosts.declared(connection), await hosts.enrolled(connection)
        overrides = await hosts.overrides(connection, micros(now))
        held = await publications.held(connection)
    return [
        Known(
            host=host,
            declared=host in declared,
            enrolled=host in enrolled,
            override=_told(overrides.get(host)),
            held=held.get(host, ()),
        )
        for host in sorted(declared | enrolled)
    ]


def _told(row: OverrideRow | None) -> str:
    if row is None:
        return ""
    until = f" until {moment(row.until_us):%Y-%m-%d %H:%M} UTC" if row.until_us else ""
    return f"{row.mode}{until} by {row.actor}: {row.reason}"
