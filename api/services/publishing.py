"""Publishing: from what is declared to signed documents in the database, and from there to every target.

The database is the truth of what is published; targets follow it. Both halves can be cut off anywhere and repeated:
documents are issued in one transaction, and what a target lacks is asked of the database each time.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
from msgspec import Struct, structs
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.database import snapshot, transaction
from api.moments import micros, moment
from api.publish.bundle import BadScript, Bundle, Scripts, make_bundle, merge_scripts
from api.publish.issue import Issue, Snapshot, Terms, inputs_digest, issue_documents
from api.publish.rolls import hosts_of, rolling
from api.publish.sealer import Encrypted, Sealer
from api.publish.target import Target
from api.repositories import catalogue, deliveries, publications, secrets
from api.repositories import trust as notes
from api.services.delivering import Delivered, deliver
from api.services.lease import PUBLISHER, Lease, hold
from api.services.rolls import Held, heard, stamp_of, tell_of_rolls, waiting_hosts
from api.services.standing import STALE_AFTER_POLLS
from api.services.trust import trust_of
from api.vault import Vault
from desired_state.document import Origin
from desired_state.names import HostName
from desired_state.note import SigningKey

_DEADLINE_S = 300.0
"""Documents of ten thousand hosts are read and written in seconds; a lost server ends it all the same."""


class Publisher(Struct, frozen=True, kw_only=True):
    """What a process needs for publishing, from its settings."""

    holder: str
    """Which process this is, for people: host and pid."""
    keys: Sequence[SigningKey]
    shipped: Scripts
    artifact_bases: tuple[str, ...]
    validity: timedelta
    targets: Sequence[Target] = ()
    vault: Vault | None = None
    """None: secrets cannot be decrypted, and hosts that use new ones keep the document that they have."""
    lease_s: float = 15.0
    polls: int = STALE_AFTER_POLLS
    """A host that missed so many has said nothing lately: its cluster waits."""
    now: Callable[[], datetime] = partial(datetime.now, UTC)


class Publication(Struct, frozen=True, kw_only=True):
    """What one call of `publish` did."""

    documents: int = 0
    """Issued and stored."""
    unchanged: int = 0
    orphans: tuple[HostName, ...] = ()
    """Hosts that left the catalogue; what is published for them stays."""
    refused: dict[HostName, str] = {}
    """Hosts for which no document could be made, and why."""
    held: Held = {}
    """Services that go on as published until it is their turn in their cluster, by host. Nothing is wrong with that."""
    deliveries: tuple[Delivered, ...] = ()
    waiting_for: str = ""
    """Why nothing can be published yet; empty otherwise."""

    @property
    def trouble(self) -> str:
        """What does not stand where it should, and why; empty when everything does."""
        hosts = [f"{host}: {reason}" for host, reason in sorted(self.refused.items())]
        targets = [f"{one.target}: {one.problem}" for one in self.deliveries if one.problem]
        told = [text for text in (self.waiting_for, *targets, *hosts[:10]) if text]
        return "; ".join(told) + (f"; and {len(hosts) - 10} more hosts" if len(hosts) > 10 else "")

    @property
    def complete(self) -> bool:
        """Whether everything that is declared stands everywhere it should."""
        return not self.trouble


async def publish(engine: AsyncEngine, publisher: Publisher, *, verify: bool = False, wait_s: float = 0) -> Publication:
    """Bring documents and targets to what is declared. When they are, nothing is written and no target is asked.

    `verify` opens every target even so, and repairs what others changed there. `wait_s` is how long another process
    that publishes is waited for. Raises TryLater when it still does, or the database is away.
    """
    async with snapshot(engine) as connection:
        look = await _look(connection, publisher)
        names = [target.name for target in publisher.targets]
        if look.settled and not verify and not await deliveries.lacking(connection, names):
            return look.settled

    def now_us() -> int:
        return micros(publisher.now())

    held = hold(engine, PUBLISHER, publisher.holder, now_us, ttl_s=publisher.lease_s, wait_s=wait_s)
    async with held as lease:
        publication = await _issue(engine, publisher, lease)
        done = [await deliver(engine, target, lease, now_us) for target in publisher.targets]
    return structs.replace(publication, deliveries=tuple(done))


class _Look(Struct, frozen=True, kw_only=True):
    """Whether there is anything to render, found out without reading the catalogue."""

    settled: Publication | None
    """What is to be said when there is not."""
    change_id: int = 0
    origin: Origin | None = None
    epoch: int = 0
    bundle: Bundle | None = None
    inputs: str = ""
    """Without what reports say of those that something waits for."""
    held: Held = {}
    """What the last publication held."""


async def _look(connection: AsyncConnection, publisher: Publisher) -> _Look:
    change_id, origin = await publications.head(connection)
    row = await notes.newest(connection)
    if row is None or not publisher.keys:
        return _Look(settled=Publication(waiting_for="there is no publisher's key yet: towline trust init"))
    epoch = row.epoch
    if str(publisher.keys[0].verifier) != trust_of(row).keys[0]:
        # Keys were rotated, and these are the old ones: hosts would refuse what they sign, or soon will.
        text = f"the publisher's key here is not the one that trust version {row.version} names: copy the keys folder"
        return _Look(settled=Publication(waiting_for=text))
    if not change_id:
        return _Look(settled=Publication(waiting_for="there is no catalogue yet: import one, or add a host"))
    own = await catalogue.scripts(connection)
    try:
        bundle = await asyncio.to_thread(lambda: make_bundle(merge_scripts(publisher.shipped, own)))
    except BadScript as bad:  # imported well, but another version of towline ships something of that name
        return _Look(settled=Publication(waiting_for=str(bad)))
    stamp = await publications.modes_stamp(connection)
    secret_stamp = await secrets.stamp(connection)
    inputs = _inputs(publisher, bundle, change_id, epoch, (*stamp, *secret_stamp))
    last = await publications.last_publication(connection)
    held = publications.held_in(last)
    waiting = waiting_hosts(held)
    known = await heard(connection, waiting, now=publisher.now(), polls=publisher.polls, bodies=False)
    said = stamp_of(waiting, known)
    same = last is not None and last.inputs == inputs_digest((inputs, said)) and publisher.now() < moment(last.due_us)
    return _Look(
        settled=_as_before(last.orphans, last.refused, held) if last is not None and same else None,
        change_id=change_id,
        origin=origin,
        epoch=epoch,
        bundle=bundle,
        inputs=inputs,
        held=held,
    )


async def _issue(engine: AsyncEngine, publisher: Publisher, lease: Lease) -> Publication:
    now = publisher.now()
    async with snapshot(engine, deadline_s=_DEADLINE_S) as connection:
        look = await _look(connection, publisher)
        if look.settled or look.origin is None or look.bundle is None:
            return look.settled or Publication()
        whole = await publications.catalogue(connection)
        in_clusters = hosts_of(rolling(whole))
        declared = Snapshot(
            catalogue=whole,
            modes=await publications.modes(connection),
            published=await publications.published(connection),
            epoch=look.epoch,
            origin=look.origin,
            sealer=await _sealer(connection, publisher.vault),
            heard=await heard(connection, in_clusters, now=now, polls=publisher.polls),
        )
    terms = Terms(
        kinds=look.bundle.kinds,
        bundle=look.bundle.artifact,
        artifact_bases=publisher.artifact_bases,
        validity=publisher.validity,
        keys=publisher.keys,
    )
    issue = await asyncio.to_thread(issue_documents, declared, terms, now)
    async with transaction(engine, deadline_s=_DEADLINE_S) as connection:
        await lease.lock(connection)
        await _store(connection, publisher, look, issue, declared)
    return Publication(
        documents=len(issue.documents),
        unchanged=issue.unchanged,
        orphans=issue.orphans,
        refused=dict(issue.refused),
        held=dict(issue.held),
    )


async def _sealer(connection: AsyncConnection, vault: Vault | None) -> Sealer:
    newest = await secrets.newest(connection)
    if not newest:
        return Sealer()
    return Sealer(
        keys=await secrets.sealing_keys(connection),
        secrets=[
            Encrypted(name=row.name, version=row.version, ciphertext=row.ciphertext)
            for row in newest.values()
            if row.ciphertext is not None
        ],
        sealed=await secrets.sealed(connection),
        unlock=vault.unlock if vault else None,
    )


async def _store(
    connection: AsyncConnection, publisher: Publisher, look: _Look, issue: Issue, declared: Snapshot
) -> None:
    at_us = micros(publisher.now())
    if look.bundle is not None:
        await publications.store_bundle(connection, look.bundle, at_us)
    if issue.documents:
        await publications.store_documents(connection, issue.documents, look.change_id)
        await publications.tell(connection, at_us, "publication", [""])
    await secrets.keep_sealed(connection, sorted(declared.sealer.made.items()))
    await secrets.drop_sealed(connection, issue.unsealed)
    await secrets.forget_old(connection)
    await publications.add_publication(
        connection,
        at_us=at_us,
        change_id=look.change_id,
        inputs=inputs_digest((look.inputs, stamp_of(waiting_hosts(issue.held), declared.heard))),
        documents=len(issue.documents),
        due_us=micros(issue.due_at),
        orphans=msgspec.json.encode(issue.orphans),
        refused=msgspec.json.encode(dict(issue.refused)),
        held=msgspec.json.encode(dict(issue.held)) if issue.held else None,
        holder=publisher.holder,
    )
    await tell_of_rolls(connection, look.held, issue, now=publisher.now())


def _inputs(publisher: Publisher, bundle: Bundle, change_id: int, epoch: int, stamp: tuple[int, ...]) -> str:
    return inputs_digest(
        (
            change_id,
            epoch,
            stamp,
            bundle.artifact.digest,
            publisher.artifact_bases,
            publisher.validity.total_seconds(),
            [str(key.verifier) for key in publisher.keys],
        )
    )


def _as_before(orphans: bytes, refused: bytes, held: Held) -> Publication:
    return Publication(
        orphans=msgspec.json.decode(orphans, type=tuple[str, ...]),
        refused=msgspec.json.decode(refused, type=dict[str, str]),
        held=held,
    )
