"""The fleet: how many hosts stand how, which ones, and why. Read only; the word for each host comes from `standing`."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.database import snapshot
from api.moments import moment
from api.publish.rolls import Hold
from api.repositories import fleet as questions
from api.repositories import publications
from api.services.standing import (
    STALE_AFTER_POLLS,
    Facts,
    Published,
    Said,
    Standing,
    Suspension,
    Word,
    is_fresh,
    on_newest,
    standing,
)
from desired_state.catalogue import HostEntry
from desired_state.report import Status

RANK = {word: rank for rank, word in enumerate(Word)}
COUNTED = (
    Word.CONVERGED,
    Word.CONVERGING,
    Word.DRIFTED,
    Word.FAILED,
    Word.STALE,
    Word.UNHEALTHY,
    Word.UNKNOWN,
    Word.SUSPENDED,
    Word.NEVER_REPORTED,
)
"""In the order in which a reader asks for them."""
RARE = frozenset({Word.UNHEALTHY, Word.UNKNOWN})
"""Words that are told only when a host is so."""
SHOWN_BEHIND = 8
UNREADABLE = "Its last report cannot be read by this version of the backend."


class Line(Struct, frozen=True, kw_only=True):
    """One host in a list."""

    host: str
    standing: Standing
    facts: Facts
    description: str = ""
    labels: dict[str, str] = {}
    address: str = ""
    """As the catalogue declares it; empty where it does not."""
    in_catalogue: bool = True
    fresh: bool = False
    """Whether the evidence is young enough; else health and sync are what they were, not what they are."""
    held: tuple[Hold, ...] = ()
    """Services of clusters whose change has not come to this host yet, as the publisher said last."""


class Count(Struct, frozen=True, kw_only=True):
    """How many hosts stand so."""

    word: Word
    hosts: int

    @property
    def shape(self) -> str:
        """Which icon goes with the word."""
        return self.word.value.replace(" ", "-")


class Asked(Struct, frozen=True, kw_only=True):
    """Which hosts somebody wants to see. `q`: words, each a part of a name or a label as `key=value`; all must fit."""

    q: str = ""
    standing: str = ""
    after: str = ""
    """Where the last page ended: `<word>:<host>`."""
    limit: int = 50


class Fleet(Struct, frozen=True, kw_only=True):
    """The answer: counts over all hosts, and one page of those asked for, the ones that need a person first."""

    total: int
    counts: tuple[Count, ...]
    published: int
    """Hosts that have a document."""
    on_newest: int
    """Those of them that hold the newest one and have reached it."""
    behind: tuple[Line, ...]
    """The first of those that do not."""
    matched: int
    lines: tuple[Line, ...]
    next: str | None = None
    """What to give as `after` for the next page; null on the last one."""


async def fleet(engine: AsyncEngine, asked: Asked, *, now: datetime, polls: int = STALE_AFTER_POLLS) -> Fleet:
    """Where all hosts stand. A host that missed so many `polls` is stale."""
    async with snapshot(engine) as connection:
        known = await read_lines(connection, now, polls)
        chosen = [line for line in known if _fits(line, asked)]
        begin = _place(asked.after)
        page = [line for line in chosen if _key(line) > begin][: asked.limit + 1]
        behind = [line for line in known if line.facts.published and not on_newest(line.facts)]
        shown = {line.host: line for line in [*page, *behind[:SHOWN_BEHIND]]}
        told = {line.host: line for line in await _with_sentences(connection, list(shown.values()), now)}
    more = len(page) > asked.limit
    lines = tuple(told[line.host] for line in page[: asked.limit])
    published = sum(line.facts.published is not None for line in known)
    return Fleet(
        total=len(known),
        counts=_counts(known),
        published=published,
        on_newest=published - len(behind),
        behind=tuple(told[line.host] for line in behind[:SHOWN_BEHIND]),
        matched=len(chosen),
        lines=lines,
        next=f"{lines[-1].standing.word.value}:{lines[-1].host}" if more else None,
    )


async def waiting_hosts(engine: AsyncEngine) -> tuple[str, ...]:
    """Hosts that are declared and have not enrolled, by name."""
    async with snapshot(engine) as connection:
        rows = await questions.all_hosts(connection)
    return tuple(sorted(row["host"] for row in rows if row["enrolled_at_us"] is None))


async def read_lines(connection: AsyncConnection, now: datetime, polls: int = STALE_AFTER_POLLS) -> list[Line]:
    """Every host with its standing, worst first; sentences are short, because no report is read for them."""
    rows = await questions.all_hosts(connection)
    held = await publications.held(connection)
    # 10,000 hosts are 0.15 s of computing: in a thread, so that polls of hosts need not wait for a person's page.
    return await asyncio.to_thread(
        lambda: sorted((line_of(row, now, polls=polls, held=held.get(row["host"], ())) for row in rows), key=_key)
    )


def line_of(
    row: Mapping[str, Any],
    now: datetime,
    status: Status | None = None,
    *,
    polls: int = STALE_AFTER_POLLS,
    held: tuple[Hold, ...] = (),
) -> Line:
    """One host from its narrow columns; with its status, the sentence tells what the host itself says."""
    entry = msgspec.json.decode(row["body"], type=HostEntry) if row["body"] is not None else None
    facts = Facts(
        host=row["host"],
        poll_interval_s=entry.poll_interval_s if entry else 60,
        stale_after_polls=polls,
        enrolled=row["enrolled_at_us"] is not None,
        published=_published(row),
        said=_said(row, status),
        suspension=_suspension(row, now),
        held="; ".join(f"{hold.service} {hold.reason}" for hold in held),
    )
    return Line(
        host=row["host"],
        standing=standing(facts, now),
        facts=facts,
        description=entry.description if entry else "",
        labels=entry.labels if entry else {},
        address=entry.address if entry else "",
        in_catalogue=entry is not None,
        fresh=is_fresh(facts, now),
        held=held,
    )


def status_in(body: bytes) -> Status | None:
    """What a host said; None when it was stored by a version of towline whose words this one does not know."""
    try:
        return msgspec.json.decode(body, type=Status)
    except msgspec.ValidationError:
        return None


def loudest(status: Status) -> str:
    """The message of the condition that a person should read first."""
    by_type = {condition.type: condition for condition in status.conditions}
    for name in ("Stalled", "Suspended"):
        if name in by_type and by_type[name].status == "True":
            return by_type[name].message
    ready = by_type.get("Ready")
    return ready.message if ready is not None and ready.status != "True" else ""


async def _with_sentences(connection: AsyncConnection, lines: Sequence[Line], now: datetime) -> Iterable[Line]:
    bodies = await questions.statuses(connection, [line.host for line in lines])
    return [_told(line, bodies.get(line.host), now) for line in lines]


def _told(line: Line, body: bytes | None, now: datetime) -> Line:
    if body is None or line.facts.said is None:
        return line
    status = status_in(body)
    message = loudest(status) if status else UNREADABLE
    said = msgspec.structs.replace(line.facts.said, message=message)
    facts = msgspec.structs.replace(line.facts, said=said)
    return msgspec.structs.replace(line, facts=facts, standing=standing(facts, now))


def _published(row: Mapping[str, Any]) -> Published | None:
    if row["published_revision"] is None:
        return None
    return Published(epoch=row["published_epoch"], revision=row["published_revision"], digest=row["published_digest"])


def _said(row: Mapping[str, Any], status: Status | None) -> Said | None:
    if row["seen_us"] is None:
        return None
    return Said(
        seen_at=moment(row["seen_us"]),
        sync=row["sync"],
        health=row["health"],
        mode=row["mode"],
        ready=row["ready"],
        ready_reason=row["ready_reason"],
        stalled=bool(row["stalled"]),
        differences=row["outstanding"],
        epoch=row["accepted_epoch"],
        accepted_revision=row["accepted_revision"],
        applied_revision=row["applied_revision"],
        digest=row["document_digest"],
        agent_version=row["agent_version"],
        message=loudest(status) if status else "",
    )


def _suspension(row: Mapping[str, Any], now: datetime) -> Suspension | None:
    """The suspension that is in force; one that ran out is none."""
    if row["override_mode"] != "suspended":
        return None
    until = moment(row["override_until_us"]) if row["override_until_us"] is not None else None
    found = Suspension(reason=row["override_reason"], actor=row["override_actor"], until=until)
    return found if found.holds(now) else None


def _counts(lines: Iterable[Line]) -> tuple[Count, ...]:
    counted = Counter(line.standing.word for line in lines)
    return tuple(Count(word=word, hosts=counted[word]) for word in COUNTED if counted[word] or word not in RARE)


def _key(line: Line) -> tuple[int, str]:
    return RANK[line.standing.word], line.host


def _place(after: str) -> tuple[int, str]:
    word, _, host = after.partition(":")
    return (RANK[Word(word)], host) if word in set(Word) else (-1, "")


def _fits(line: Line, asked: Asked) -> bool:
    if asked.standing and line.standing.word.value != asked.standing:
        return False
    labels = {f"{key}={value}" for key, value in line.labels.items()}
    return all(word in labels or word.lower() in line.host for word in asked.q.split()[:10])
