"""Changes of clusters on their way: what is waited for, and what is told of it."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from api.moments import micros
from api.principal import SCHEDULE
from api.publish.issue import Issue
from api.publish.rolls import Heard, Hold
from api.repositories import publications
from api.services import audit
from desired_state.names import HostName, ServiceName

Held = Mapping[HostName, tuple[Hold, ...]]
"""What is held back, by host."""
_NAMED = 20
"""Hosts of one event that are named."""


def waiting_hosts(held: Held) -> frozenset[HostName]:
    """Hosts whose next report may end a wait, or change what is waited for."""
    return frozenset(held).union(hold.on for holds in held.values() for hold in holds)


def stamp_of(hosts: Iterable[HostName], heard: Mapping[HostName, Heard]) -> list[tuple[str, int, bool]]:
    """Changes whenever one of these hosts reports something new, falls silent, or is heard of again."""
    return [(host, there.seq, there.fresh) for host in sorted(hosts) if (there := heard.get(host)) is not None]


async def tell_of_rolls(connection: AsyncConnection, before: Held, issue: Issue, *, now: datetime) -> None:
    """One event for each cluster of which somebody begins to wait, goes on, or waits for something else."""
    hosts = sorted(host for host in before.keys() | issue.held.keys() if before.get(host) != issue.held.get(host))
    await publications.tell(connection, micros(now), "host", hosts)
    old, new = _by_service(before), _by_service(issue.held)
    lines = [
        _line(service, old.get(service, {}), new.get(service, {}))
        for service in sorted(old.keys() | new.keys())
        if old.get(service) != new.get(service)
    ]
    if lines:
        await audit.append_all(connection, lines, now=now)


def _line(service: ServiceName, was: Mapping[HostName, str], waits: Mapping[HostName, str]) -> audit.Line:
    return audit.Line(
        actor=SCHEDULE.actor,
        action="cluster.held" if waits else "cluster.released",
        subject=f"service/{service}",
        detail={
            "held": _names(sorted(waits)),
            "released": _names(sorted(was.keys() - waits.keys())),
            "message": "; ".join(sorted(set(waits.values()))) or "nothing waits any more",
        },
    )


def _by_service(held: Held) -> dict[ServiceName, dict[HostName, str]]:
    found: dict[ServiceName, dict[HostName, str]] = {}
    for host, holds in held.items():
        for hold in holds:
            found.setdefault(hold.service, {})[host] = hold.reason
    return found


def _names(hosts: list[HostName]) -> str:
    more = len(hosts) - _NAMED
    return ", ".join(hosts[:_NAMED]) + (f" and {more} more" if more > 0 else "")
