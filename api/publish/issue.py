"""From one snapshot of everything declared to the signed documents that differ from those published. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct, structs

from desired_state.catalogue import Catalogue, HostEntry
from desired_state.contract import KindMeta
from desired_state.document import MAX_BYTES, Artifact, Mode, Origin, encode
from desired_state.names import Digest, HostName, Kind, digest_of
from desired_state.note import SigningKey, sign
from desired_state.placement import services_by_host
from desired_state.render import NotRenderable, content_digest, issue, render


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


def issue_documents(snapshot: Snapshot, terms: Terms, now: datetime) -> Issue:
    """Render every host; sign what differs from what is published, or has lost half of its validity."""
    now = now.astimezone(UTC).replace(microsecond=0)
    documents: list[Issued] = []
    refused: dict[HostName, str] = {}
    due_at = now + terms.validity / 2
    placed = services_by_host(snapshot.catalogue)
    for host in snapshot.catalogue.hosts:
        entry, ends = with_mode(host, snapshot.modes.get(host.host), now)
        before = snapshot.published.get(host.host)
        try:
            content = render(
                snapshot.catalogue,
                entry,
                kinds=terms.kinds,
                bundle=terms.bundle,
                artifact_bases=terms.artifact_bases,
                origin=snapshot.origin,
                services=placed.get(host.host, ()),
            )
        except NotRenderable as error:
            refused[host.host] = str(error)
            continue
        digest = content_digest(content)
        due_at = min(due_at, ends or due_at)
        if before and before.content_digest == digest and before.epoch == snapshot.epoch and now < before.due_at:
            due_at = min(due_at, before.due_at)
            continue
        document = issue(
            content,
            epoch=snapshot.epoch,
            revision=before.revision + 1 if before else 1,
            issued_at=now,
            expires_at=now + terms.validity,
        )
        text = encode(document)
        if len(text) > MAX_BYTES - 4096:  # the whole note with its signatures must stay below the bound
            refused[host.host] = f"its document would be {len(text)} bytes long; at most {MAX_BYTES} are read"
            continue
        note = sign(text, terms.keys)
        documents.append(
            Issued(
                host=host.host,
                revision=document.revision,
                epoch=document.epoch,
                digest=digest_of(note),
                content_digest=digest,
                note=note,
                issued_at=now,
                expires_at=document.expires_at,
            )
        )
    declared = {host.host for host in snapshot.catalogue.hosts}
    return Issue(
        documents=tuple(documents),
        unchanged=len(declared) - len(documents) - len(refused),
        orphans=tuple(sorted(snapshot.published.keys() - declared)),
        refused=refused,
        due_at=due_at,
    )


def with_mode(host: HostEntry, said: HostMode | None, now: datetime) -> tuple[HostEntry, datetime | None]:
    """The host as overridden on the page, and when that ends."""
    if said is None or (said.until is not None and said.until <= now):
        return host, None
    return structs.replace(host, mode=said.mode, mode_reason=said.reason, mode_until=said.until), said.until


def inputs_digest(parts: Iterable[object]) -> Digest:
    """One digest for all that documents are made of: equal means that rendering would give the same again."""
    return digest_of(msgspec.json.encode(list(parts), order="deterministic"))
