"""Changes of clusters on their way: what is waited for, and what is told of it."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from api.moments import micros, moment
from api.principal import SCHEDULE
from api.publish.issue import Issue
from api.publish.rolls import Heard, Hold
from api.repositories import publications, rolls
from api.services import audit
from api.services.standing import silence_limit_s
from desired_state.catalogue import HostEntry
from desired_state.names import HostName, ServiceName

Held = Mapping[HostName, tuple[Hold, ...]]
"""What is held back, by host."""
_ENTRY = msgspec.json.Decoder(HostEntry)
_NAMED = 20
"""Hosts of one event that are named."""


async def heard(
    connection: AsyncConnection, hosts: Collection[HostName], *, now: datetime, polls: int, bodies: bool = True
) -> dict[HostName, Heard]:
    """What is known of these hosts, `polls` polls of silence being too many. Without `bodies` only what changes with
    every report of theirs."""
    return {
        row.name: Heard(
            note=row.note, status=row.status, seq=row.seq or 0, fresh=_is_fresh(row.entry, row.seen_us, now, polls)
        )
        for row in await rolls.last_words(connection, hosts, bodies=bodies)
    }


def _is_fresh(entry: bytes, seen_us: int | None, now: datetime, polls: int) -> bool:
    if seen_us is None:
        return False
    limit = timedelta(seconds=silence_limit_s(_ENTRY.decode(entry).poll_interval_s, polls))
    return abs(now - moment(seen_us)) <= limit


def waiting_hosts(held: Held) -> frozenset[HostName]:
    """Hosts whose next report may end a wait, or change what is waited for."""
    return frozenset(held).union(hold.on for holds in held.values() for hold in holds)


def stamp_of(hosts: Iterable[HostName], heard: Mapping[HostName, Heard]) -> list[tuple[str, int, bool]]:
    """Changes whenever one of these hosts reports something new, falls silent, or is heard of again."""
    return [(host, there.seq, there.fresh) for host in sorted(hosts) if (there := heard.get(host)) is not None]


async def tell_of_rolls(connection: AsyncConnection, before: Held, issue: Issue, *, now: datetime) -> None:
    """One event for each cluster of which somebody begins to wait, goes on, or waits for something else.

    A member that fails again in other words (another pid, a later time) is told to open pages, and is no event.
    """
    hosts = sorted(host for host in before.keys() | issue.held.keys() if before.get(host) != issue.held.get(host))
    await publications.tell(connection, micros(now), "host", hosts)
    old, new = _by_service(before), _by_service(issue.held)
    lines = [
        _line(service, old.get(service, {}), new.get(service, {}))
        for service in sorted(old.keys() | new.keys())
        if _reasons(old.get(service, {})) != _reasons(new.get(service, {}))
    ]
    if lines:
        await audit.append_all(connection, lines, now=now)


def _line(service: ServiceName, was: Mapping[HostName, Hold], waits: Mapping[HostName, Hold]) -> audit.Line:
    hosts = {"held": _names(sorted(waits)), "released": _names(sorted(was.keys() - waits.keys()))}
    told = sorted({hold.sentence for hold in waits.values()})
    return audit.Line(
        actor=SCHEDULE.actor,
        action="cluster.held" if waits else "cluster.released",
        subject=f"service/{service}",
        detail={
            **{word: names for word, names in hosts.items() if names},
            "message": "; ".join(told) or "nothing waits any more",
        },
    )


def _reasons(holds: Mapping[HostName, Hold]) -> dict[HostName, str]:
    return {host: hold.reason for host, hold in holds.items()}


def _by_service(held: Held) -> dict[ServiceName, dict[HostName, Hold]]:
    found: dict[ServiceName, dict[HostName, Hold]] = {}
    for host, holds in held.items():
        for hold in holds:
            found.setdefault(hold.service, {})[host] = hold
    return found


def _names(hosts: list[HostName]) -> str:
    more = len(hosts) - _NAMED
    return ", ".join(hosts[:_NAMED]) + (f" and {more} more" if more > 0 else "")
