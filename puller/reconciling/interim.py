"""While steps run for longer than a moment: the backend and `status` are told that, and later that they still do.

Without it a host that installs for ten minutes would look silent, and what it said before would look true.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from puller.reconciling.delivery import Deliverer
from puller.reconciling.findings import Findings
from puller.reconciling.parts import Parts
from puller.reconciling.recording import about
from puller.reconciling.reporting import report_of, status_of
from puller.store import outbox

TELL_AFTER_S = 5.0
AGAIN_S = 30.0
_log = structlog.get_logger("towline.interim")


@asynccontextmanager
async def in_touch(parts: Parts, findings: Findings, deliverer: Deliverer | None) -> AsyncIterator[None]:
    """Tells of the pass for as long as the block runs. Failing to tell stops nothing."""
    telling = asyncio.create_task(_tell(parts, findings, deliverer))
    try:
        yield
    finally:
        telling.cancel()
        (outcome,) = await asyncio.gather(telling, return_exceptions=True)
        if isinstance(outcome, Exception):
            _log.warning("the progress of the pass could not be told", error=repr(outcome))


async def _tell(parts: Parts, findings: Findings, deliverer: Deliverer | None) -> None:
    await asyncio.sleep(TELL_AFTER_S)
    await parts.store.transact(_write, parts, findings)
    while deliverer is not None:
        await deliverer.deliver(findings.newest.digest if findings.newest else None)
        await asyncio.sleep(AGAIN_S)


def _write(db: sqlite3.Connection, parts: Parts, findings: Findings) -> None:
    """The status of now, without a run: its steps are told together at its end."""
    report = report_of(
        status_of(findings.evidence(), findings.known.status, about=about(db, parts, findings)),
        host=parts.host,
        seq=outbox.seq(db) + 1,
        run=findings.run,
        results=(),
        at=parts.clock.now(),
        ms=0,
    )
    outbox.put(db, report, send=parts.sink is not None)
