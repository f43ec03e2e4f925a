"""One service across hosts, and the list of all services. Read only."""

from datetime import datetime

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.database import snapshot
from api.errors import NotFound
from api.repositories import declared, publications
from api.repositories import fleet as questions
from api.services.comparing import Compared, compare_one
from api.services.fleet import line_of, status_in
from api.services.host_detail import document_in
from api.services.standing import STALE_AFTER_POLLS, Standing
from desired_state.catalogue import HostEntry, ServiceEntry, selects
from desired_state.names import Timestamp

HOSTS = 100


class ServiceLine(Struct, frozen=True, kw_only=True):
    """One service of the catalogue, and on how many hosts its placement puts it."""

    entry: ServiceEntry
    hosts: int


class OnHost(Struct, frozen=True, kw_only=True):
    """The service on one host."""

    host: str
    standing: Standing
    fresh: bool
    """Whether the evidence is young enough; else health is what it was."""
    compared: Compared
    looked_at: Timestamp | None
    """When the host looked last. A heartbeat says that a look found what was reported before."""
    held: str = ""
    """What a change of this service waits for before it comes to this host; empty where nothing is held back."""


class ServiceDetail(Struct, frozen=True, kw_only=True):
    """One service: as it is declared, and as it is on each host. Counts are over the hosts of this page."""

    name: str
    entry: ServiceEntry
    placed: int
    healthy: int
    differing: int
    hosts: tuple[OnHost, ...]
    next: str | None = None
    """What to give as `after` for the next page; null on the last one."""


async def service_list(engine: AsyncEngine) -> tuple[ServiceLine, ...]:
    """Every service of the catalogue, by name."""
    async with snapshot(engine) as connection:
        entries, hosts = await declared.services(connection), await declared.hosts(connection)
    return tuple(ServiceLine(entry=entry, hosts=len(_placed(entry, hosts))) for entry in entries)


async def service_detail(
    engine: AsyncEngine, name: str, *, now: datetime, polls: int = STALE_AFTER_POLLS, after: str = ""
) -> ServiceDetail:
    """One service across hosts, by host name, from after that one. Raises NotFound where it is not declared."""
    async with snapshot(engine) as connection:
        entry = await declared.service(connection, name)
        if entry is None:
            raise NotFound(f"no service {name} is declared in the catalogue; hosts that have it keep it")
        placed = _placed(entry, await declared.hosts(connection))
        page = [host for host in placed if host > after][: HOSTS + 1]
        hosts = await _on_hosts(connection, name, page[:HOSTS], now, polls)
    return ServiceDetail(
        name=name,
        entry=entry,
        placed=len(placed),
        healthy=sum(line.fresh and line.compared.health == "healthy" for line in hosts),
        differing=sum(line.compared.differences > 0 for line in hosts),
        hosts=hosts,
        next=page[HOSTS - 1] if len(page) > HOSTS else None,
    )


async def _on_hosts(
    connection: AsyncConnection, name: str, hosts: list[str], now: datetime, polls: int
) -> tuple[OnHost, ...]:
    rows = await questions.named_hosts(connection, hosts)
    held = await publications.held(connection)
    notes, bodies = await questions.notes(connection, hosts), await questions.statuses(connection, hosts)
    lines = []
    for row in rows:
        host = row["host"]
        status = status_in(bodies[host]) if host in bodies else None
        document = document_in(notes[host]) if host in notes else None
        line, compared = (
            line_of(row, now, status, polls=polls, held=held.get(host, ())),
            compare_one(name, document, status),
        )
        looks = [compared.seen_at, line.facts.said.seen_at if line.facts.said else None]
        looked = max((look for look in looks if look is not None), default=None)
        lines.append(
            OnHost(
                host=host,
                standing=line.standing,
                fresh=line.fresh,
                compared=compared,
                looked_at=looked,
                held=next((hold.reason for hold in line.held if hold.service == name), ""),
            )
        )
    return tuple(lines)


def _placed(entry: ServiceEntry, hosts: list[HostEntry]) -> list[str]:
    return [host.host for host in hosts if selects(entry.placed, host)]
