"""Whose turn it is when a cluster changes: one member at a time, the next one when the last one is well again. Pure.

Decided anew each time from what is published and what was reported; nothing of it is stored, so a crash repeats it. A
member that is not well comes first (the change may be its repair), then the others by their numbers, the primary last,
also where it is degraded: it is so whenever a follower was away.
A well member has its turn only while all others are well. One that is worse than those that ail, or does not serve at
all, does not wait for them: what ails them may well be that it is missing. For one whose newest document is not
reported yet everybody waits.

All at once where there is nothing to protect: no member serves (the first formation, and a cluster that is down as a
whole, of which the first member alone would never become well), or the primary moves, between which and its followers
there is no state in which the cluster is whole.
"""

from collections.abc import Sequence
from enum import IntEnum

from msgspec import Struct

from desired_state.names import HostName


class Rank(IntEnum):
    """How one member does."""

    WELL = 0
    DEGRADED = 1
    DOWN = 2
    """Down, or nobody knows: never reported, silent, suspended, its newest document not reported yet."""


class Member(Struct, frozen=True, kw_only=True):
    """One member of a cluster, as far as the decision needs it."""

    host: HostName
    id: int
    primary: bool = False
    changes: bool
    """It shall get something else than what is published for it."""
    rank: Rank = Rank.WELL
    settled: bool = True
    """It has reported what is published for it as applied, and lately."""
    trouble: str = ""
    """Why it is not well, about `it`; empty when it is well. The same for as long as the same ails it."""
    words: str = ""
    """What its host says of that, in words that may be others in each report (pids, times); may be empty."""
    serves: bool = True
    """As far as is known: its service ran when the host reported last."""
    next_revision: int = 1
    """Of the document in which the change would come."""


class Wait(Struct, frozen=True, kw_only=True):
    """What a member waits for."""

    on: HostName
    reason: str
    """A sentence without its end: `waits for kafka-1: it has not reported revision 7 yet`."""
    words: str = ""
    """What that host says of it."""


class Turns(Struct, frozen=True, kw_only=True):
    """Who gets the change now, and what the others wait for."""

    now: frozenset[HostName] = frozenset()
    waits: dict[HostName, Wait] = {}


def in_order(members: Sequence[Member]) -> tuple[Member, ...]:
    """Those that change, in the order of their turns as things stand."""
    return tuple(
        sorted(
            (member for member in members if member.changes),
            key=lambda member: (member.settled, -_urgency(member), member.primary, member.id, member.host),
        )
    )


def _urgency(member: Member) -> Rank:
    """A primary ails whenever a follower is away, as one is while it changes: no reason to go before the others."""
    return Rank.WELL if member.primary and member.rank == Rank.DEGRADED and member.serves else member.rank


def turns(members: Sequence[Member], *, at_once: bool = False) -> Turns:
    """The decision for one cluster. `at_once`: it is not to be rolled."""
    changing = in_order(members)
    if at_once or not any(member.serves for member in members):
        return Turns(now=frozenset(member.host for member in changing))
    if not changing:
        return Turns()
    first, rest = changing[0], changing[1:]
    blocker = next((member for member in _by_trouble(members) if not _passes(first, member)), None)
    if blocker is not None:
        wait = Wait(on=blocker.host, reason=f"waits for {blocker.host}: {blocker.trouble}", words=blocker.words)
        return Turns(waits=dict.fromkeys((member.host for member in changing), wait))
    wait = Wait(on=first.host, reason=f"waits for {first.host}: it has not reported revision {first.next_revision} yet")
    return Turns(now=frozenset({first.host}), waits=dict.fromkeys((member.host for member in rest), wait))


def _by_trouble(members: Sequence[Member]) -> list[Member]:
    """Members that are not well and have nothing newer to get, worst first."""
    sick = [member for member in members if member.rank > Rank.WELL and not member.changes]
    return sorted(sick, key=lambda member: (member.settled, -member.rank, member.id, member.host))


def _passes(candidate: Member, sick: Member) -> bool:
    return sick.settled and (candidate.rank > sick.rank or not candidate.serves)
