"""Record: the end of every pass, however it ended. One transaction, and only a heartbeat when nothing is new."""

import shutil
import sqlite3

from msgspec import Struct

from desired_state.report import Status, StepResult
from puller.crash_points import reached
from puller.reconciling.findings import Findings
from puller.reconciling.parts import Parts
from puller.reconciling.reporting import report_of, says_the_same, status_of
from puller.store import documents, inventory, journal, modes, outbox, waits


class Recorded(Struct, frozen=True, kw_only=True):
    """What came of recording a pass."""

    status: Status
    results: tuple[StepResult, ...]
    """Steps that were run since the last report."""
    is_good: bool
    """The newest document was reached and verified."""


async def record(parts: Parts, findings: Findings) -> Recorded:
    """Keeps what the pass found, and a report of it when it differs from what was reported last."""
    reached("before_record")
    recorded = await parts.store.transact(_write, parts, findings)
    reached("after_record")
    if recorded.results:
        await _forget_folders(parts)
    return recorded


def _write(db: sqlite3.Connection, parts: Parts, findings: Findings) -> Recorded:
    status = status_of(findings.evidence(), findings.known.status, about=about(db, parts, findings))
    _write_looks(db, findings)
    for service, wait in findings.waits.items():
        if wait != findings.known.waits.get(service):
            waits.put(db, wait)
    waits.clear(db, findings.over())
    is_good = _mark_good(db, findings, status)
    if findings.known.requests:
        modes.answer(db, up_to=findings.known.requests[-1].id)
    results = tuple(journal.unreported(db))
    if results or not says_the_same(findings.known.status, status):
        at = parts.clock.now()
        report = report_of(
            status,
            host=parts.host,
            seq=outbox.seq(db) + 1,
            run=findings.run,
            results=results,
            at=at,
            ms=max(0, round((parts.clock.monotonic() - findings.began) * 1000)),
        )
        outbox.put(db, report, send=parts.sink is not None)
        journal.close_run(db)
    else:
        outbox.beat(db, parts.clock.now())
    return Recorded(status=status, results=results, is_good=is_good)


def _write_looks(db: sqlite3.Connection, findings: Findings) -> None:
    """What looking found of processes. A step that ended while this pass was being cancelled has written more."""
    if findings.record == findings.known.record:
        return
    for name, stored in inventory.record(db).items():
        entry = findings.record.get(name, stored)
        if entry != stored and entry.generation == stored.generation:
            inventory.write(db, entry)


def _mark_good(db: sqlite3.Connection, findings: Findings, status: Status) -> bool:
    newest = findings.newest
    if newest is None or findings.in_force is not newest or status.sync != "synced" or status.health != "healthy":
        return False
    if documents.good_digest(db) != newest.digest:
        documents.mark_good(db, newest.digest)
    return True


def about(db: sqlite3.Connection, parts: Parts, findings: Findings) -> Status:
    """The fields of a status that do not follow from what was found."""
    ratchet = documents.ratchet(db)
    before = findings.known.status
    return Status(
        host=parts.host,
        sync="unknown",
        health="unknown",
        mode=findings.allowed.mode,
        accepted_epoch=ratchet.epoch if ratchet else None,
        accepted_revision=ratchet.revision if ratchet else None,
        document_digest=findings.newest.digest if findings.newest else "",
        boot_id=parts.boot_id,
        agent_version=parts.agent_version,
        # Not asked yet is no news: a puller that was restarted must not report that its host has no address.
        address=parts.own_address() or (before.address if before else ""),
        source=parts.source_type,
    )


async def _forget_folders(parts: Parts) -> None:
    """Scratch folders of runs that the journal no longer speaks of."""
    kept = {folder.partition("/")[0] for folder in await parts.store.read(journal.folders)}
    for folder in parts.paths.steps.iterdir() if parts.paths.steps.is_dir() else ():
        if folder.name not in kept and folder.name != "look":
            shutil.rmtree(folder, ignore_errors=True)
