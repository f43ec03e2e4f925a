"""Which changes of clusters are held back, and why: from what is published and what members reported last. Pure.

What is held is one service in one host's document, not the document: a suspension, another service, a new key or a
fresh date must reach a host whatever its cluster waits for. Until its turn, the document goes on saying of that service
what it said before, byte for byte (docs/adr/0015).
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct, structs

from desired_state.catalogue import Catalogue, ServiceEntry
from desired_state.cluster import leads
from desired_state.contract import KindMeta
from desired_state.document import Document, Service
from desired_state.names import Digest, HostName, Kind, ServiceName, digest_of
from desired_state.note import parse_note
from desired_state.render import Content
from desired_state.report import ServiceStatus, Status
from desired_state.rolling import Member, Rank, Turns, in_order, turns

_Named = TypeVar("_Named", Service, ServiceStatus)
_DOCUMENT = msgspec.json.Decoder(Document)
_STATUS = msgspec.json.Decoder(Status)
_SAID = 300
"""Characters of what a host says of its trouble: a sentence, not a log."""


class Hold(Struct, frozen=True, kw_only=True):
    """One service of one host that goes on as published, though something else is declared."""

    service: ServiceName
    on: HostName
    """Whose report is waited for."""
    reason: str
    """`waits for kafka-1: it has not reached revision 7`. The same for as long as the same is waited for."""
    words: str = ""
    """What that host says of it: may be others in each of its reports."""

    @property
    def sentence(self) -> str:
        """Both, as a person reads them."""
        return f"{self.reason}: {self.words}" if self.words else self.reason


class Heard(Struct, frozen=True, kw_only=True):
    """What is known of one host: what is published for it, what it said last, and whether that is young enough."""

    note: bytes | None = None
    status: bytes | None = None
    seq: int = 0
    fresh: bool = False


class Side(Struct, frozen=True, kw_only=True):
    """One host of a cluster: what it shall be, what is published for it, what it said."""

    content: Content | None = None
    """None where no document can be made."""
    document: Document | None = None
    """The one that is published."""
    digest: Digest | Literal[""] = ""
    """Of its bytes."""
    status: Status | None = None
    spoke: bool = False
    """It has said something, if only in words that this version does not know."""
    fresh: bool = False
    """And lately."""

    def wanted(self, name: ServiceName) -> Service | None:
        """The service as it shall be."""
        return _named(name, self.content.services if self.content else ())

    def published(self, name: ServiceName) -> Service | None:
        """The service as its document has it."""
        return _named(name, self.document.services if self.document else ())

    def said(self, name: ServiceName) -> ServiceStatus | None:
        """What it said of the service."""
        return _named(name, self.status.services if self.status else ())


Sides = Mapping[HostName, Side]


def side_of(content: Content | None, heard: Heard) -> Side:
    """One host, from what is kept of it. The document is our own: its signature is not checked."""
    note, body = heard.note, heard.status
    return Side(
        content=content,
        document=_DOCUMENT.decode(parse_note(note).text) if note else None,
        digest=digest_of(note) if note else "",
        status=_status_in(body) if body else None,
        spoke=body is not None,
        fresh=heard.fresh,
    )


def _status_in(body: bytes) -> Status | None:
    try:
        return _STATUS.decode(body)
    except msgspec.ValidationError:
        return None


def rolling(catalogue: Catalogue) -> tuple[ServiceEntry, ...]:
    """Services whose changes reach one member at a time."""
    return tuple(entry for entry in catalogue.services if entry.cluster is not None and entry.cluster.rolling)


def hosts_of(entries: Iterable[ServiceEntry]) -> frozenset[HostName]:
    """Every member of these clusters."""
    return frozenset(host for entry in entries if entry.cluster for host in entry.cluster.members)


def holds(
    catalogue: Catalogue,
    kinds: Mapping[Kind, KindMeta],
    changed: Collection[HostName],
    side: Callable[[HostName], Side],
) -> dict[HostName, tuple[Hold, ...]]:
    """What is held back on which host. `changed` are hosts that would get another content than is published; only of
    clusters with one of these is anything asked of `side`."""
    found: dict[HostName, tuple[Hold, ...]] = {}
    for entry in sorted(rolling(catalogue), key=lambda entry: entry.service):
        members = entry.cluster.members if entry.cluster else {}
        if members.keys().isdisjoint(changed):
            continue
        decided = decide(entry, kinds.get(entry.kind), {host: side(host) for host in members})
        for host, wait in sorted(decided.waits.items()):
            found[host] = (
                *found.get(host, ()),
                Hold(service=entry.service, on=wait.on, reason=wait.reason, words=wait.words),
            )
    return found


def decide(entry: ServiceEntry, meta: KindMeta | None, sides: Sides) -> Turns:
    """Whose turn it is in one cluster."""
    return turns(_members(entry, sides), at_once=bool(at_once(entry, meta, sides)))


def in_turn(entry: ServiceEntry, sides: Sides) -> tuple[HostName, ...]:
    """In which order members would get what they lack, as things stand."""
    return tuple(member.host for member in in_order(_members(entry, sides)))


def at_once(entry: ServiceEntry, meta: KindMeta | None, sides: Sides) -> str:
    """Why the change goes to all members at once; empty where they get it one after another."""
    cluster = entry.cluster
    if cluster is None or not cluster.rolling:
        return "rolling is false"
    if not any(member.serves for member in _members(entry, sides)):
        return "no member serves"
    primary = sides.get(cluster.primary or "")
    if meta is None or not meta.has_primary or primary is None:
        return ""
    before = primary.published(entry.service)
    return "" if before is not None and leads(before, meta) else f"the primary becomes {cluster.primary}"


def as_published(side: Side, held: Collection[Hold]) -> Content:
    """The content that goes out meanwhile: what is held stands in it as it is published, or not at all yet."""
    assert side.content is not None  # noqa: S101 - nothing is held where nothing can be made
    names = {hold.service for hold in held}
    kept = [service for service in side.content.services if service.name not in names]
    before = [found for name in names if (found := side.published(name)) is not None]
    return structs.replace(side.content, services=tuple(sorted((*kept, *before), key=lambda service: service.name)))


def _members(entry: ServiceEntry, sides: Sides) -> list[Member]:
    cluster = entry.cluster
    assert cluster is not None  # noqa: S101 - only clusters are rolled
    return [
        _member(entry.service, host, member.id, host == cluster.primary, sides[host])
        for host, member in cluster.members.items()
        if host in sides
    ]


def _member(name: ServiceName, host: HostName, number: int, primary: bool, side: Side) -> Member:
    wanted, published, said = side.wanted(name), side.published(name), side.said(name)
    rank, settled, ailing = _state(name, side)
    return Member(
        host=host,
        id=number,
        primary=primary,
        changes=wanted is not None and wanted != published,
        rank=rank,
        settled=settled,
        trouble=ailing.what,
        words=ailing.words,
        serves=bool(said and said.observation and said.observation.state in ("running", "degraded")),
        next_revision=side.document.revision + 1 if side.document else 1,
    )


class _Ailing(Struct, frozen=True):
    what: str = ""
    words: str = ""


def _state(name: ServiceName, side: Side) -> tuple[Rank, bool, _Ailing]:
    """How a member does, whether it has reported what is published for it, and what ails it."""
    if side.published(name) is None:
        return Rank.DOWN, True, _Ailing("it is new")
    unsettled = _unsettled(name, side)
    if unsettled.what:
        return Rank.DOWN, False, unsettled
    said = side.said(name)
    if said is not None and said.health != "healthy":
        rank = Rank.DEGRADED if said.health == "degraded" else Rank.DOWN
        reason = said.message or (said.observation.reason if said.observation else "")
        return rank, True, _Ailing(f"its service {name} is {said.health}", _short(reason))
    if said is not None and said.changes:
        return (
            Rank.DEGRADED,
            True,
            _Ailing(f"its service {name} differs from its document", _short(said.changes[0].reason)),
        )
    return Rank.WELL, True, _Ailing()


def _unsettled(name: ServiceName, side: Side) -> _Ailing:
    """Why nobody knows that what is published for it is applied there; nothing when it is known."""
    document, status = side.document, side.status
    if document is None or not side.spoke:
        return _Ailing(f"it has not reported revision {document.revision if document else 1} yet")
    if status is None:
        return _Ailing("its report cannot be read by this version of the backend")
    if not side.fresh:
        return _Ailing("nothing was heard of it lately")
    if "suspended" in (status.mode, document.mode):
        return _Ailing("it is suspended, so nobody looks after it")
    if status.document_digest != side.digest or side.said(name) is None:
        return _Ailing(f"it has not reported revision {document.revision} yet")
    reached = status.applied_revision == document.revision and status.sync in ("synced", "drifted")
    return _Ailing() if reached else _not_reached(document.revision, status)


def _not_reached(revision: int, status: Status) -> _Ailing:
    if status.mode == "audit":
        return _Ailing(f"it is in audit mode, and does not apply revision {revision}")
    told = {condition.type: condition for condition in status.conditions if condition.status != "Unknown"}
    stalled, ready = told.get("Stalled"), told.get("Ready")
    loud = stalled if stalled is not None and stalled.status == "True" else ready
    words = _short(loud.message) if loud is not None else ""
    return _Ailing(f"it has not reached revision {revision}", words)


def _short(words: str) -> str:
    """Without its middle: what failed stands at the beginning, and why at the end, after much of a log."""
    text = " ".join(words.split())
    return text if len(text) <= _SAID else f"{text[: _SAID // 3]} … {text[-_SAID * 2 // 3 :]}"


def _named(name: ServiceName, services: Iterable[_Named]) -> _Named | None:
    return next((service for service in services if service.name == name), None)
