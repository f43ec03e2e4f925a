"""A fleet in a database, as importing, publishing and ingest would have left it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256

import msgspec
from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import transaction
from api.models import (
    catalogue_change,
    catalogue_entry,
    catalogue_head,
    document,
    host_document,
    host_identity,
    host_override,
)
from api.moments import micros
from api.services.ingest import store
from desired_state.catalogue import HostEntry, PackageEntry, Problem, ServiceEntry, selects
from desired_state.document import Artifact, Document, Origin, Package, Service, encode
from desired_state.names import digest_of
from desired_state.note import SigningKey, sign
from desired_state.report import Delivery, Heartbeat, Report
from tests.fakes.host import PaperHost

KEY = SigningKey.generate("towline-test", bytes(32))
BUNDLE = Artifact(digest=digest_of(b"bundle"), size=48_112, file="scripts.tar.gz")


class PaperFleet:
    """Writes what importing and publishing would have written; reports are taken in by the real ingest."""

    def __init__(self, engine: AsyncEngine, now: datetime) -> None:
        self.engine = engine
        self.now = now
        self.services: dict[str, ServiceEntry] = {}
        self.hosts: dict[str, HostEntry] = {}
        self.origin = Origin(change="change-0")
        self.change_id = 0
        self.revisions: dict[str, int] = {}

    def before(self, **ago: float) -> datetime:
        """A moment before now."""
        return self.now - timedelta(**ago)

    async def change(
        self,
        summary: str,
        author: str,
        at: datetime,
        *entries: ServiceEntry | HostEntry,
        problems: Sequence[Problem] = (),
    ) -> int:
        """A change of the catalogue; one with problems is refused as a whole."""
        refused = any(problem.severity == "error" for problem in problems)
        ref = sha256(f"{summary}{at}".encode()).hexdigest()[:40]
        changed = [{"entry": f"{_kind(entry)}/{_name(entry)}", "action": "changed"} for entry in entries]
        async with transaction(self.engine) as connection:
            result = await connection.execute(
                insert(catalogue_change).values(
                    ref=ref,
                    author=author,
                    summary=summary,
                    source="git",
                    at_us=micros(at),
                    state="refused" if refused else "applied",
                    problems=msgspec.json.encode(problems),
                    changed=msgspec.json.encode(changed),
                )
            )
            key = result.inserted_primary_key
            assert key is not None
            number = int(key[0])
            if refused:
                return number
            for entry in entries:
                body = msgspec.json.encode(entry)
                where = (catalogue_entry.c.kind == _kind(entry)) & (catalogue_entry.c.name == _name(entry))
                await connection.execute(delete(catalogue_entry).where(where))
                await connection.execute(
                    insert(catalogue_entry).values(
                        kind=_kind(entry), name=_name(entry), body=body, digest=digest_of(body), change_id=number
                    )
                )
            await connection.execute(update(catalogue_head).values(change_id=number))
        self.services |= {entry.service: entry for entry in entries if isinstance(entry, ServiceEntry)}
        self.hosts |= {entry.host: entry for entry in entries if isinstance(entry, HostEntry)}
        self.origin, self.change_id = Origin(change=ref, author=author, summary=summary), number
        return number

    async def enrol(self, *hosts: str) -> None:
        """Hosts that made their keys."""
        async with transaction(self.engine) as connection:
            for host in hosts:
                await connection.execute(
                    insert(host_identity).values(
                        host=host,
                        identity_key="identity",
                        sealing_key="sealing",
                        enrolled_at_us=micros(self.before(days=40)),
                        agent_version="0.1.0",
                    )
                )

    async def publish(self, host: str, at: datetime) -> tuple[Document, str]:
        """The document of a host from the newest change; (document, digest of its note)."""
        self.revisions[host] = self.revisions.get(host, 0) + 1
        made = Document(
            schema="towline.document/1",
            host=host,
            epoch=1,
            revision=self.revisions[host],
            issued_at=at,
            expires_at=at + timedelta(days=90),
            origin=self.origin,
            bundle=BUNDLE,
            poll_interval_s=self.hosts[host].poll_interval_s,
            mode=self.hosts[host].mode,
            services=tuple(
                _wanted(entry, host)
                for _, entry in sorted(self.services.items())
                if selects(entry.placed, self.hosts[host])
            ),
        )
        note = sign(encode(made), [KEY])
        row = {
            "host": host,
            "revision": made.revision,
            "epoch": 1,
            "digest": digest_of(note),
            "content_digest": digest_of(encode(made)),
            "note": note,
            "issued_at_us": micros(at),
            "expires_at_us": micros(made.expires_at),
        }
        async with transaction(self.engine) as connection:
            await connection.execute(insert(document).values(**row, change_id=self.change_id))
            await connection.execute(delete(host_document).where(host_document.c.host == host))
            await connection.execute(insert(host_document).values(**row))
        return made, digest_of(note)

    async def roll_out(self, paper: PaperHost, at: datetime) -> None:
        """Publish for a host, and let it get there."""
        made, digest = await self.publish(paper.name, at)
        paper.apply(made, digest, at)

    async def ingest(self, *reports: Report, seen_at: datetime) -> None:
        """Take in reports of one host, oldest first, as heard at that moment."""
        async with transaction(self.engine) as connection:
            await store(connection, [(reports[0].host, Delivery(reports=reports))], seen_at)

    async def beat(self, host: str, seq: int, seen_at: datetime) -> None:
        """A host says that all is as it reported last."""
        heartbeat = Heartbeat(schema="towline.heartbeat/1", host=host, seq=seq, at=seen_at)
        async with transaction(self.engine) as connection:
            await store(connection, [(host, Delivery(heartbeat=heartbeat))], seen_at)

    async def suspend(self, host: str, reason: str, actor: str, until: datetime) -> None:
        """Somebody's word on the page."""
        async with transaction(self.engine) as connection:
            await connection.execute(
                insert(host_override).values(
                    host=host,
                    mode="suspended",
                    reason=reason,
                    until_us=micros(until),
                    actor=actor,
                    at_us=micros(self.now),
                )
            )


def _wanted(entry: ServiceEntry, host: str) -> Service:
    override = entry.overrides.get(host)
    return Service(
        name=entry.service,
        kind=entry.kind,
        version=(override.version if override else None) or entry.version,
        state=(override.state if override else None) or entry.state,
        parameters=entry.parameters | (override.parameters if override else {}),
        packages={role: _package(role, name, entry.version) for role, name in entry.packages.items()},
        depends_on=entry.depends_on,
    )


def _package(role: str, name: str, version: str) -> Package:
    file = f"{name}.tar.gz"
    return Package(name=role, version=version, digest=digest_of(name.encode()), size=2_400_000, file=file)


def _kind(entry: ServiceEntry | HostEntry | PackageEntry) -> str:
    return {ServiceEntry: "service", HostEntry: "host", PackageEntry: "package"}[type(entry)]


def _name(entry: ServiceEntry | HostEntry | PackageEntry) -> str:
    if isinstance(entry, ServiceEntry):
        return entry.service
    return entry.host if isinstance(entry, HostEntry) else entry.name
