"""Documents on this host: the ratchet, the accepted one, the last good one, and the revision that proved bad."""

import sqlite3
from datetime import datetime

from msgspec import Struct

from desired_state.acceptance import Ratchet
from desired_state.names import Digest, Revision, ServiceName
from puller.store.moments import micros, moment


class Held(Struct, frozen=True, kw_only=True):
    """A document's exact bytes as they were accepted."""

    epoch: int
    revision: Revision
    digest: Digest
    note: bytes
    tag: str
    """What to show the source so that it may answer 'unchanged'."""
    origin: str
    at: datetime


class BadRevision(Struct, frozen=True, kw_only=True):
    """An accepted document that could not be applied; the last good one is kept instead, until a newer one comes."""

    digest: Digest
    revision: Revision
    service: ServiceName
    message: str
    since: datetime


def ratchet(db: sqlite3.Connection) -> Ratchet | None:
    """The highest document ever accepted."""
    row = db.execute("SELECT epoch, revision, digest FROM ratchet").fetchone()
    return Ratchet(epoch=row[0], revision=row[1], digest=row[2]) if row else None


def held(db: sqlite3.Connection, slot: str) -> Held | None:
    """The `accepted` or the last `good` document."""
    row = db.execute(
        "SELECT epoch, revision, digest, note, tag, origin, at_us FROM document WHERE slot = ?", (slot,)
    ).fetchone()
    if row is None:
        return None
    return Held(epoch=row[0], revision=row[1], digest=row[2], note=row[3], tag=row[4], origin=row[5], at=moment(row[6]))


def good_digest(db: sqlite3.Connection) -> Digest | None:
    """Of the last good document."""
    row = db.execute("SELECT digest FROM document WHERE slot = 'good'").fetchone()
    return str(row[0]) if row else None


def bad_revision(db: sqlite3.Connection) -> BadRevision | None:
    """The revision that proved bad, if one did and none newer was accepted since."""
    row = db.execute("SELECT digest, revision, service, message, since_us FROM bad_revision").fetchone()
    if row is None:
        return None
    return BadRevision(digest=row[0], revision=row[1], service=row[2], message=row[3], since=moment(row[4]))


def accept(db: sqlite3.Connection, document: Held) -> None:
    """Raises the ratchet and keeps the bytes, as one. A newer document ends the memory of a bad one."""
    db.execute(
        "INSERT INTO ratchet VALUES (1, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch,"
        " revision = excluded.revision, digest = excluded.digest"
        " WHERE (excluded.epoch, excluded.revision) > (ratchet.epoch, ratchet.revision)",
        (document.epoch, document.revision, document.digest),
    )
    _keep(db, "accepted", document)
    db.execute("DELETE FROM bad_revision WHERE digest <> ?", (document.digest,))


def mark_good(db: sqlite3.Connection, digest: Digest) -> None:
    """The accepted document was reached and verified: a bad newer one returns to it."""
    db.execute(
        "INSERT OR REPLACE INTO document"
        " SELECT 'good', epoch, revision, digest, note, tag, origin, at_us FROM document"
        " WHERE slot = 'accepted' AND digest = ?",
        (digest,),
    )


def mark_bad(db: sqlite3.Connection, bad: BadRevision) -> None:
    """That revision is not tried again."""
    db.execute(
        "INSERT OR REPLACE INTO bad_revision VALUES (1, ?, ?, ?, ?, ?)",
        (bad.digest, bad.revision, bad.service, bad.message, micros(bad.since)),
    )


def _keep(db: sqlite3.Connection, slot: str, document: Held) -> None:
    db.execute(
        "INSERT OR REPLACE INTO document VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            slot,
            document.epoch,
            document.revision,
            document.digest,
            document.note,
            document.tag,
            document.origin,
            micros(document.at),
        ),
    )
