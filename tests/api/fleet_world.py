"""A backend's database with a catalogue in it, and a publisher with keys: for tests of publishing."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import make_engine, migrate, snapshot, transaction
from api.models import catalogue_change, catalogue_entry, catalogue_head, document, host_document, trust
from api.moments import micros
from api.publish.target import Target
from api.services.publishing import Publisher
from desired_state.catalogue import HostEntry, Placement, ServiceEntry
from desired_state.document import Document, decode
from desired_state.names import digest_of
from desired_state.note import SigningKey, open_note
from desired_state.trust import Trust, sign_trust

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
KEY = SigningKey.generate("publisher", b"k" * 32)
ROOT = SigningKey.generate("root", b"r" * 32)
TOY = b"""#!/usr/bin/env bash
cat <<'JSON'
{"schema": "towline.meta/1", "kind": "toy", "verbs": {"check_status": {"timeout_s": 5}, "install": {"timeout_s": 5},
 "configure": {"timeout_s": 5}, "start": {"timeout_s": 5}, "stop": {"timeout_s": 5}, "uninstall": {"timeout_s": 5}},
 "parameters": [{"name": "port", "type": "port", "default": "80"}]}
JSON
"""


def hosts(count: int) -> list[HostEntry]:
    """So many hosts, each labelled with whether its number is even."""
    return [HostEntry(host=f"h{n:05}", labels={"even": "yes" if n % 2 == 0 else "no"}) for n in range(count)]


def toy(version: str = "1", **more: Any) -> ServiceEntry:
    """A service on every even host."""
    fields: dict[str, Any] = {"kind": "toy", "placement": Placement(labels={"even": "yes"}), **more}
    return ServiceEntry(service="orders", version=version, **fields)


class World:
    """A migrated database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.now = NOW

    def later(self, **delta: float) -> None:
        """Let time pass."""
        self.now += timedelta(**delta)

    def publisher(self, *targets: Target, holder: str = "one", **more: Any) -> Publisher:
        """Who publishes."""
        fields: dict[str, Any] = {
            "holder": holder,
            "keys": (KEY,),
            "shipped": {"toyctl.sh": TOY},
            "artifact_bases": ("https://towline.example/v1/artifacts",),
            "validity": timedelta(days=90),
            "targets": targets,
            "now": lambda: self.now,
        }
        return Publisher(**(fields | more))

    async def trust(self, epoch: int = 1) -> None:
        """A trust file of that era."""
        said = Trust(
            schema="towline.trust/1",
            version=epoch,
            epoch=epoch,
            keys=(str(KEY.verifier),),
            threshold=1,
            root_keys=(str(ROOT.verifier),),
            root_threshold=1,
            exchange_key=b64encode(bytes(32)).decode(),
            issued_at=NOW,
        )
        note = sign_trust(said, (ROOT,))
        row = {"version": epoch, "epoch": epoch, "digest": digest_of(note), "note": note, "issued_at_us": 1}
        async with transaction(self.engine) as connection:
            await connection.execute(insert(trust).values(**row))

    async def declare(self, entries: Iterable[HostEntry | ServiceEntry], summary: str = "a change") -> None:
        """Make these the whole catalogue."""
        async with transaction(self.engine) as connection:
            change = await connection.execute(
                insert(catalogue_change).values(
                    ref=summary,
                    author="alice",
                    summary=summary,
                    source="api",
                    at_us=micros(self.now),
                    state="applied",
                    problems=b"[]",
                    changed=b"[]",
                )
            )
            number = change.inserted_primary_key[0]  # type: ignore[index]
            rows = [
                {
                    "kind": "host" if isinstance(entry, HostEntry) else "service",
                    "name": entry.host if isinstance(entry, HostEntry) else entry.service,
                    "body": msgspec.json.encode(entry),
                    "digest": digest_of(msgspec.json.encode(entry)),
                    "change_id": number,
                }
                for entry in entries
            ]
            await connection.execute(delete(catalogue_entry))
            await connection.execute(insert(catalogue_entry), rows)
            await connection.execute(update(catalogue_head).values(change_id=number))

    async def documents(self) -> dict[str, Document]:
        """What counts now for each host, its signature checked."""
        notes = await self.notes()
        return {host: decode(open_note(note, [KEY.verifier], 1)) for host, note in notes.items()}

    async def notes(self) -> dict[str, bytes]:
        """The signed bytes that count now for each host."""
        async with snapshot(self.engine) as connection:
            rows = await connection.execute(select(host_document.c.host, host_document.c.note))
            return {row.host: row.note for row in rows}

    async def revisions(self) -> dict[str, list[int]]:
        """All revisions ever published for each host."""
        found: dict[str, list[int]] = {}
        async with snapshot(self.engine) as connection:
            question = select(document.c.host, document.c.revision).order_by(document.c.host, document.c.revision)
            for row in await connection.execute(question):
                found.setdefault(row.host, []).append(row.revision)
        return found


def in_a_world(url: str, work: Callable[[World], Awaitable[Any]]) -> Any:
    """Run this on a migrated database that has a trust file."""

    async def run() -> Any:
        engine = make_engine(url, pooled=False)
        try:
            await migrate(engine)
            world = World(engine)
            await world.trust()
            return await work(world)
        finally:
            await engine.dispose()

    return asyncio.run(run())
