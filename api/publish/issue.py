"""From one snapshot of everything declared to the signed documents that differ from those published. Pure, but for
the randomness of sealing, which is kept."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

import msgspec
from msgspec import Struct, structs

from api.publish.rolls import Heard, Hold, as_published, holds, hosts_of, rolling, side_of
from api.publish.sealer import SealedKey, Sealer
from desired_state.catalogue import Catalogue, HostEntry, ServiceEntry
from desired_state.cluster import expanded
from desired_state.contract import KindMeta
from desired_state.document import MAX_BYTES, Artifact, Mode, Origin, encode, ill_formed
from desired_state.names import Digest, HostName, Kind, digest_of
from desired_state.note import SigningKey, sign
from desired_state.placement import on_host, services_by_host
from desired_state.render import Content, NotRenderable, content_digest, issue, render

_ROOM_FOR_SIGNATURES = 4096
"""The bound is on the whole note."""


class HostMode(Struct, frozen=True, kw_only=True):
    """What somebody said of one host on the page: it outweighs the catalogue until it ends."""

    mode: Mode
    reason: str
    until: datetime | None = None


class Published(Struct, frozen=True, kw_only=True):
    """What is published for one host, without its bytes."""

    revision: int
    epoch: int
    content_digest: Digest
    issued_at: datetime
    expires_at: datetime

    @property
    def due_at(self) -> datetime:
        """When it is issued anew though nothing changed: half of its validity is gone."""
        return self.issued_at + (self.expires_at - self.issued_at) / 2


class Snapshot(Struct, frozen=True, kw_only=True):
    """Everything that documents are made of, read at one moment."""

    catalogue: Catalogue
    modes: Mapping[HostName, HostMode]
    published: Mapping[HostName, Published]
    epoch: int
    origin: Origin
    sealer: Sealer
    heard: Mapping[HostName, Heard] = {}
    """Of the hosts of clusters that are rolled."""


class Terms(Struct, frozen=True, kw_only=True):
    """How documents are issued: with which scripts, for how long, fetched from where, signed by whom."""

    kinds: Mapping[Kind, KindMeta]
    bundle: Artifact
    artifact_bases: tuple[str, ...]
    validity: timedelta
    keys: Sequence[SigningKey]


class Issued(Struct, frozen=True, kw_only=True):
    """One signed document, ready to be stored and delivered."""

    host: HostName
    revision: int
    epoch: int
    digest: Digest
    content_digest: Digest
    note: bytes
    issued_at: datetime
    expires_at: datetime


class Issue(Struct, frozen=True, kw_only=True):
    """What there is to publish, and what to say about the rest."""

    documents: tuple[Issued, ...]
    unchanged: int
    orphans: tuple[HostName, ...]
    """Hosts that left the catalogue: what is published for them stays. Absence is never an order to delete."""
    refused: Mapping[HostName, str]
    """Hosts whose document cannot be made, and why. They keep the one that they have."""
    due_at: datetime
    """When there is something to publish again though nobody changes anything."""
    held: Mapping[HostName, tuple[Hold, ...]] = {}
    """What goes on as published until it is its turn."""
    unsealed: tuple[SealedKey, ...] = ()
    """What was sealed for documents that count no more."""


def issue_documents(snapshot: Snapshot, terms: Terms, now: datetime) -> Issue:
    """Render every host; sign what differs from what is published, or has lost half of its validity."""
    work = _Work(snapshot, terms, now.astimezone(UTC).replace(microsecond=0))
    placed = services_by_host(expanded(snapshot.catalogue, terms.kinds))
    in_clusters = hosts_of(rolling(snapshot.catalogue))
    later: dict[HostName, Content] = {}
    for host in snapshot.catalogue.hosts:
        content = work.render(host, placed.get(host.host, ()))
        if content is not None and host.host in in_clusters:
            later[host.host] = content
        elif content is not None:
            work.sign(content)
    held = work.hold_back(later)
    declared = {host.host for host in snapshot.catalogue.hosts}
    return Issue(
        documents=tuple(work.documents),
        unchanged=len(declared) - len(work.documents) - len(work.refused),
        orphans=tuple(sorted(snapshot.published.keys() - declared)),
        refused=work.refused,
        due_at=work.due_at,
        held=held,
        unsealed=tuple(snapshot.sealer.stale(declared - work.refused.keys())),
    )


class _Work:
    """One publication in the making."""

    def __init__(self, snapshot: Snapshot, terms: Terms, now: datetime) -> None:
        self._snapshot = snapshot
        self._terms = terms
        self._now = now
        self.documents: list[Issued] = []
        self.refused: dict[HostName, str] = {}
        self.due_at = now + terms.validity / 2

    def render(self, host: HostEntry, services: Sequence[ServiceEntry]) -> Content | None:
        """What that host shall be; None where that cannot be made, which is noted."""
        entry, ends = with_mode(host, self._snapshot.modes.get(host.host), self._now)
        self.due_at = min(self.due_at, ends or self.due_at)
        try:
            return _render(self._snapshot, self._terms, entry, services)
        except NotRenderable as error:
            self.refused[host.host] = str(error)
            return None

    def sign(self, content: Content, held: Sequence[Hold] = ()) -> None:
        """The next document of a host, unless what is published counts still."""
        before = self._snapshot.published.get(content.host)
        if before is not None and _counts_still(before, content, self._snapshot.epoch, self._now):
            self.due_at = min(self.due_at, before.due_at)
            return
        try:
            _refuse_mixture(content, held)
            self.documents.append(_sign(content, before, self._snapshot.epoch, self._terms, self._now))
        except NotRenderable as error:
            self.refused[content.host] = str(error)

    def hold_back(self, contents: Mapping[HostName, Content]) -> dict[HostName, tuple[Hold, ...]]:
        """Sign these, each with what is its turn, and say what is held back on which host."""
        snapshot = self._snapshot
        digests = {host: one.content_digest for host, one in snapshot.published.items() if host in contents}
        changed = {host for host, content in contents.items() if content_digest(content) != digests.get(host)}
        side = cache(lambda host: side_of(contents.get(host), snapshot.heard.get(host, Heard())))
        held = holds(snapshot.catalogue, self._terms.kinds, changed, side)
        for host, content in contents.items():
            there = held.get(host, ())
            self.sign(as_published(side(host), there) if there else content, there)
        return held


def _refuse_mixture(content: Content, held: Sequence[Hold]) -> None:
    """What is new in a document and what goes on in it may not go together: then all of it waits."""
    problem = ill_formed(content.services) if held else ""
    if problem:
        raise NotRenderable(f"{held[0].service} {held[0].reason}; the rest cannot come before it: {problem}")


def _render(snapshot: Snapshot, terms: Terms, host: HostEntry, services: Sequence[ServiceEntry]) -> Content:
    names = {name for entry in services for name in on_host(entry, host.host).secrets.values()}
    return render(
        snapshot.catalogue,
        host,
        kinds=terms.kinds,
        bundle=terms.bundle,
        artifact_bases=terms.artifact_bases,
        origin=snapshot.origin,
        services=services,
        sealed=snapshot.sealer.sealed_to(host.host, names),
    )


def _counts_still(before: Published, content: Content, epoch: int, now: datetime) -> bool:
    """Whether what is published asks the host for the same, and is not to be issued anew for its age."""
    return before.content_digest == content_digest(content) and before.epoch == epoch and now < before.due_at


def _sign(content: Content, before: Published | None, epoch: int, terms: Terms, now: datetime) -> Issued:
    """The next document of a host, signed. Raises NotRenderable for one that no host would read."""
    revision = before.revision + 1 if before else 1
    expires_at = now + terms.validity
    document = issue(content, epoch=epoch, revision=revision, issued_at=now, expires_at=expires_at)
    text = encode(document)
    if len(text) > MAX_BYTES - _ROOM_FOR_SIGNATURES:
        raise NotRenderable(f"its document would be {len(text)} bytes long; at most {MAX_BYTES} are read")
    note = sign(text, terms.keys)
    return Issued(
        host=content.host,
        revision=revision,
        epoch=epoch,
        digest=digest_of(note),
        content_digest=content_digest(content),
        note=note,
        issued_at=now,
        expires_at=document.expires_at,
    )


def with_mode(host: HostEntry, said: HostMode | None, now: datetime) -> tuple[HostEntry, datetime | None]:
    """The host as overridden on the page, and when that ends."""
    if said is None or (said.until is not None and said.until <= now):
        return host, None
    return structs.replace(host, mode=said.mode, mode_reason=said.reason, mode_until=said.until), said.until


def inputs_digest(parts: Iterable[object]) -> Digest:
    """One digest for all that documents are made of: equal means that rendering would give the same again."""
    return digest_of(msgspec.json.encode(list(parts), order="deterministic"))
