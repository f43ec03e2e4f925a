"""Whose turn it is: one member at a time, and everybody in the end."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from desired_state.rolling import Member, Rank, Turns, in_order, turns

REPORTED = "it has not reported revision 7 yet"


def member(number: int, **changes: Any) -> Member:
    """Member m-<number>, well and with a change to get."""
    return Member(**{"host": f"m-{number}", "id": number, "changes": True, "next_revision": 7, **changes})


def done(number: int, **changes: Any) -> Member:
    """A member that has nothing to get."""
    return member(number, **{"changes": False, **changes})


def down(number: int, **changes: Any) -> Member:
    """One that is down, and has said so."""
    return member(number, **{"rank": Rank.DOWN, "trouble": "its service is stopped", "serves": False, **changes})


def in_flight(number: int, **changes: Any) -> Member:
    """One that got its document and has not reported it."""
    return done(number, **{"rank": Rank.DOWN, "settled": False, "trouble": REPORTED, **changes})


def told(found: Turns) -> tuple[set[str], dict[str, str]]:
    """Who goes, and what each of the others waits for."""
    return set(found.now), {host: wait.reason for host, wait in found.waits.items()}


CASES: dict[str, tuple[list[Member], set[str], dict[str, str]]] = {
    "nothing changes": ([done(1), done(2)], set(), {}),
    "the first of three": (
        [member(1), member(2), member(3)],
        {"m-1"},
        {"m-2": f"waits for m-1: {REPORTED}", "m-3": f"waits for m-1: {REPORTED}"},
    ),
    "the primary last": ([member(1, primary=True), member(2)], {"m-2"}, {"m-1": f"waits for m-2: {REPORTED}"}),
    "the primary last, also when it still misses the one that has changed": (
        [member(1, primary=True, rank=Rank.DEGRADED, trouble="1 of 2 replicas are connected"), done(2), member(3)],
        {"m-3"},
        {"m-1": f"waits for m-3: {REPORTED}"},
    ),
    "while one is at it": (
        [in_flight(1), member(2), member(3)],
        set(),
        {"m-2": f"waits for m-1: {REPORTED}", "m-3": f"waits for m-1: {REPORTED}"},
    ),
    "the next when it is well": ([done(1), member(2), member(3)], {"m-2"}, {"m-3": f"waits for m-2: {REPORTED}"}),
    "not while one is degraded": (
        [done(1, rank=Rank.DEGRADED, trouble="its service is degraded"), member(2)],
        set(),
        {"m-2": "waits for m-1: its service is degraded"},
    ),
    "who is not well comes first": (
        [member(1), member(2, rank=Rank.DEGRADED, trouble="t"), down(3)],
        {"m-3"},
        {"m-1": f"waits for m-3: {REPORTED}", "m-2": f"waits for m-3: {REPORTED}"},
    ),
    "who is at it gets what came after it": (
        [in_flight(1, changes=True), member(2), down(3)],
        {"m-1"},
        {"m-2": f"waits for m-1: {REPORTED}", "m-3": f"waits for m-1: {REPORTED}"},
    ),
    "a primary that is down does not wait for its replicas": (
        [down(1, primary=True), done(2, rank=Rank.DEGRADED, trouble="no primary")],
        {"m-1"},
        {},
    ),
    "one that is down waits for one that is at it": (
        [down(1), in_flight(2)],
        set(),
        {"m-1": f"waits for m-2: {REPORTED}"},
    ),
    "one that is down does not wait for another": ([down(1), down(2, changes=False), done(3)], {"m-1"}, {}),
    "one that may serve yet waits for one that is down": (
        [member(1, rank=Rank.DOWN, settled=False, trouble="it is silent"), down(2, changes=False), done(3)],
        set(),
        {"m-1": "waits for m-2: its service is stopped"},
    ),
    "the first formation": ([member(1, serves=False), member(2, serves=False)], {"m-1", "m-2"}, {}),
    "all are down": ([down(1), down(2), down(3)], {"m-1", "m-2", "m-3"}, {}),
    "a member that joins has its turn": (
        [done(1), done(2), down(3), down(4)],
        {"m-3"},
        {"m-4": f"waits for m-3: {REPORTED}"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_whose_turn_it_is(name: str) -> None:
    """Who gets the change now, and what every other one is told."""
    members, now, waits = CASES[name]
    assert (now, waits) == told(turns(members))


def test_at_once_is_at_once() -> None:
    """The way out when a member is gone for good."""
    assert ({"m-2", "m-3"}, {}) == told(turns([in_flight(1), member(2), member(3)], at_once=True))


@st.composite
def members(draw: st.DrawFn) -> list[Member]:
    """A cluster in any state that there is: at most one member is at it, as after any decision."""
    found = []
    for number in range(1, draw(st.integers(1, 6)) + 1):
        rank = draw(st.sampled_from(Rank))
        trouble = "ails" if rank else ""
        serves = draw(st.booleans()) if rank is Rank.DOWN else True
        found.append(member(number, changes=draw(st.booleans()), rank=rank, trouble=trouble, serves=serves))
    at_it = draw(st.integers(0, len(found)))
    if at_it:
        found[at_it - 1] = in_flight(at_it, changes=draw(st.booleans()))
    primary = draw(st.integers(0, len(found)))
    return [replace(one, primary=one.id == primary) for one in found]


def published(cluster: list[Member], found: Turns) -> list[Member]:
    """The cluster once those whose turn it is have got their documents."""
    return [in_flight(m.id, primary=m.primary, serves=m.serves) if m.host in found.now else m for m in cluster]


def at_it(cluster: list[Member]) -> set[str]:
    """Members that have a document which they have not reported."""
    return {one.host for one in cluster if not one.settled}


@settings(max_examples=500, deadline=None)
@given(members())
def test_never_two_at_once(cluster: list[Member]) -> None:
    """While anything serves, whoever gets a document is the only one that has not reported its own."""
    found = turns(cluster)
    assert len(at_it(published(cluster, found))) <= 1 or not any(one.serves for one in cluster)


@settings(max_examples=500, deadline=None)
@given(members())
def test_a_well_member_is_touched_only_while_all_others_are_well(cluster: list[Member]) -> None:
    """Nobody who serves well is interrupted while another one is missing; a primary may still miss who was away."""
    found = turns(cluster)
    touched = [one for one in cluster if one.host in found.now and one.rank is Rank.WELL]
    others = [one for one in cluster if touched and one.host != touched[0].host]
    assert all(one.rank is Rank.WELL or _misses_followers(one) for one in others)


def _misses_followers(one: Member) -> bool:
    return one.primary and one.changes and one.serves and one.settled and one.rank is Rank.DEGRADED


@settings(max_examples=500, deadline=None)
@given(members())
def test_everybody_that_changes_goes_or_is_told_why_not(cluster: list[Member]) -> None:
    """And a member that waits never waits for itself."""
    found = turns(cluster)
    changing = {one.host for one in cluster if one.changes}
    assert (changing, set()) == (found.now | found.waits.keys(), found.now & found.waits.keys())
    assert all(wait.on != host or not next(m for m in cluster if m.host == host).changes
               for host, wait in found.waits.items())  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(members())
def test_everything_is_published_in_the_end(cluster: list[Member]) -> None:
    """If each member becomes well once it has its document, and those without a change do."""
    order = [one.host for one in in_order(cluster)]
    seen: list[str] = []
    for _ in range(len(cluster) + 1):
        cluster = [done(m.id, primary=m.primary) if not m.changes else m for m in cluster]
        found = turns(cluster)
        seen += sorted(found.now)
        cluster = published(cluster, found)
    assert (set(order), len(order), []) == (set(seen), len(seen), [m for m in cluster if m.changes])


@settings(max_examples=300, deadline=None)
@given(members())
def test_a_broken_members_repair_is_not_held_behind_itself(cluster: list[Member]) -> None:
    """Where nobody else is missing, who is not well gets what there is for it at once, however often."""
    broken = [replace(one, rank=Rank.WELL, settled=True, changes=one.changes) for one in cluster]
    broken[0] = replace(cluster[0], changes=True, rank=Rank.DOWN, settled=False, trouble="ails")
    assert broken[0].host in turns(broken).now


@settings(max_examples=300, deadline=None)
@given(members())
def test_the_primary_is_last_among_those_that_are_well(cluster: list[Member]) -> None:
    """What clients write to is interrupted once, when all that follow are new already."""
    well = [replace(one, rank=Rank.WELL, settled=True, changes=True, serves=True) for one in cluster]
    assert [one.primary for one in in_order(well)] == sorted(one.primary for one in well)


@settings(max_examples=300, deadline=None)
@given(members(), st.randoms(use_true_random=False))
def test_the_order_of_the_members_means_nothing(cluster: list[Member], order: Any) -> None:
    """The same decision, however they are listed."""
    assert turns(cluster) == turns(order.sample(cluster, len(cluster)))
