"""What hosts send: stored once, in order, durable when answered.

Many deliveries share one transaction: whoever comes while one is being written goes into the next. Nobody waits on
purpose; one delivery alone is written alone.

Order is the host's own sequence. A report that is older than what is known is kept, and changes nothing. A heartbeat
says "still as I reported under that number": when we know another number, it proves nothing and is passed over.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

import msgspec
from msgspec import Struct
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.database import transaction
from api.errors import Forbidden, Invalid, TryLater
from api.moments import micros
from api.repositories import publications, reports
from api.repositories.reports import ReportRow, Sender, StatusRow
from api.services import audit
from api.tally import Tally
from desired_state.names import HostName, digest_of
from desired_state.report import Condition, Delivery, Heartbeat, Receipt, Report

MAX_BATCH = 200
"""Deliveries in one transaction: more make the first of them wait longer than they save."""
MAX_WAITING = 4000
"""More than this many are not taken in: they are told when to come again."""
TELL_AGAIN_S = 3600
"""A clone sends with every pass; the audit log is told once an hour."""
_TRIES = 3


_DECODER = msgspec.json.Decoder(Delivery)


def read_delivery(body: bytes) -> Delivery:
    """The delivery in a request's body. Raises Invalid."""
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Invalid(f"this is not a delivery: {error}") from error
    except RecursionError as error:  # msgspec recurses on nesting
        raise Invalid("this is not a delivery: it is nested too deeply") from error


class _Waiting(Struct, frozen=True):
    host: HostName
    delivery: Delivery
    done: "asyncio.Future[Receipt]"


class Ingest:
    """The door for deliveries of one process. Holds nothing but requests that wait for their answer."""

    def __init__(
        self, engine: AsyncEngine, now: Callable[[], datetime] | None = None, tally: Tally | None = None
    ) -> None:
        self._engine = engine
        self._now = now or partial(datetime.now, UTC)
        self._tally = tally or Tally()
        self._waiting: list[_Waiting] = []
        self._writers: set[asyncio.Task[None]] = set()
        self.reported: Callable[[Collection[HostName]], None] = _nobody
        """Told which hosts have reported, once that is durable. Nothing may depend on it: a timer looks as well."""
        # SQLite lets one write at a time; elsewhere a second prepares its rows while the first waits for the disk.
        self._max_writers = 1 if engine.dialect.name == "sqlite" else 2

    async def submit(self, host: HostName, delivery: Delivery) -> Receipt:
        """Store what a host sent. When this returns, it is durable.

        Raises Forbidden when something in it is about another host, TryLater when there is too much to do or the
        database is away; then the host sends it again.
        """
        _refuse_other_hosts(host, delivery)
        if len(self._waiting) >= MAX_WAITING:
            self._tally.deliveries["refused"] += 1
            raise TryLater("too many reports are waiting to be stored", retry_after_s=5)
        one = _Waiting(host, delivery, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        if len(self._writers) < self._max_writers:
            writer = asyncio.create_task(self._write())
            self._writers.add(writer)
        return await one.done

    async def drain(self) -> None:
        """Wait until everything that was submitted is answered."""
        if self._writers:
            await asyncio.wait(self._writers)

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                await self._write_batch(batch)
        finally:
            # In the same step that found nothing waiting: a callback comes later, and who submits in between would
            # count on a writer that has ended, and wait for ever.
            self._writers.discard(asyncio.current_task())

    async def _write_batch(self, batch: list[_Waiting]) -> None:
        try:
            await self._store(batch)
        except TryLater as error:
            self._fail(batch, error)
        except Exception as error:  # noqa: BLE001 - one delivery that cannot be stored must not fail the others
            await self._store_one_by_one(batch, error)

    def _fail(self, batch: Sequence[_Waiting], error: Exception) -> None:
        self._tally.deliveries["failed"] += len(batch)
        for one in batch:
            if not one.done.done():
                one.done.set_exception(error)

    async def _store_one_by_one(self, batch: list[_Waiting], error: Exception) -> None:
        if len(batch) == 1:
            self._fail(batch, error)
            return
        for one in batch:
            try:
                await self._store([one])
            except Exception as own:  # noqa: BLE001 - told to the one that it belongs to
                self._fail([one], own)

    async def _store(self, batch: list[_Waiting]) -> None:
        for attempt in range(1, _TRIES + 1):
            try:
                with self._tally.storing.measured():
                    async with transaction(self._engine) as connection:
                        newest = await store(connection, [(one.host, one.delivery) for one in batch], self._now())
            except IntegrityError:  # another replica stored the same report, or a host's first, at the same moment
                if attempt == _TRIES:
                    raise
            else:
                break
        self._tally.deliveries["stored"] += len(batch)
        self.reported({one.host for one in batch})
        for one in batch:
            if not one.done.done():
                accepted = tuple(report.id for report in one.delivery.reports)
                one.done.set_result(Receipt(accepted=accepted, newest_seq=newest[one.host]))


def _nobody(_: Collection[HostName]) -> None:
    """Nobody waits."""


def _refuse_other_hosts(host: HostName, delivery: Delivery) -> None:
    named = {name for report in delivery.reports for name in (report.host, report.status.host)}
    named |= {delivery.heartbeat.host} if delivery.heartbeat else set()
    if named - {host}:
        raise Forbidden(f"{host} cannot report for {', '.join(sorted(named - {host}))}")


async def store(
    connection: AsyncConnection, deliveries: Sequence[tuple[HostName, Delivery]], now: datetime
) -> dict[HostName, int]:
    """Store deliveries in this transaction: reports once by their id, each host's newest status, heartbeats.

    Returns the number of the newest report of each of these hosts, 0 where there is none.
    """
    now_us = micros(now)
    hosts = sorted({host for host, _ in deliveries})
    before = await reports.lock_statuses(connection, hosts)
    senders = await reports.senders(connection, hosts)
    everything = {_stored_id(report): report for _, delivery in deliveries for report in delivery.reports}
    known = await reports.known_ids(connection, everything)
    new = {key: report for key, report in everything.items() if key not in known}
    cloned = await _cloned(connection, list(new.values()), senders, now_us)
    await reports.add(connection, [_report_row(key, report, now_us) for key, report in new.items()])

    newest: dict[HostName, Report] = {}
    for report in sorted(new.values(), key=lambda report: report.seq):
        if _is_newer(report, before.get(report.host), senders.get(report.host)):
            newest[report.host] = report
    changed = [_status_row(report, now_us) for report in newest.values()]
    await reports.put_statuses(connection, changed, [row.host for row in changed if row.host in before])
    beats = [delivery.heartbeat for _, delivery in deliveries if delivery.heartbeat]
    await reports.touch(connection, sorted(_alive(beats, before) - newest.keys()), now_us)
    ran = {report.host for report in new.values() if report.run is not None}
    await publications.tell(connection, now_us, "host", sorted(ran.union(_shown_anew(changed, before))))
    for report in newest.values():
        await _describe_sender(connection, report, senders.get(report.host))
    for host in sorted(cloned):
        await _tell_of_clone(connection, host, now)
    known_seqs = {host: before[host].seq if host in before else 0 for host in hosts}
    return known_seqs | {host: report.seq for host, report in newest.items()}


def _stored_id(report: Report) -> str:
    """The report's id, bound to its host: no host can occupy the id of another one's report."""
    return digest_of(f"{report.host}\n{report.id}".encode())


def _report_row(key: str, report: Report, now_us: int) -> ReportRow:
    return ReportRow(
        id=key,
        host=report.host,
        seq=report.seq,
        at_us=micros(report.at),
        received_us=now_us,
        run_id=report.run.id if report.run else "",
        body=msgspec.json.encode(report),
    )


def _is_newer(report: Report, known: StatusRow | None, sender: Sender | None) -> bool:
    """Whether the report says more than what is known. A host that enrolled anew counts from 1 again."""
    if known is None or report.seq > known.seq:
        return True
    return sender is not None and sender.enrolled_at_us > known.seen_us


def _status_row(report: Report, now_us: int) -> StatusRow:
    status = report.status
    ready = _condition(status.conditions, "Ready")
    stalled = _condition(status.conditions, "Stalled")
    return StatusRow(
        host=report.host,
        seq=report.seq,
        at_us=micros(report.at),
        seen_us=now_us,
        status=msgspec.json.encode(status),
        sync=status.sync,
        health=status.health,
        mode=status.mode,
        ready=ready.status if ready else "Unknown",
        ready_reason=ready.reason if ready else "",
        stalled=int(stalled is not None and stalled.status == "True"),
        outstanding=sum(len(service.changes) for service in status.services),
        accepted_epoch=status.accepted_epoch,
        accepted_revision=status.accepted_revision,
        applied_revision=status.applied_revision,
        document_digest=status.document_digest,
        agent_version=status.agent_version[:64],
    )


def _condition(conditions: Iterable[Condition], kind: str) -> Condition | None:
    return next((condition for condition in conditions if condition.type == kind), None)


def _alive(beats: Iterable[Heartbeat], known: Mapping[HostName, StatusRow]) -> set[HostName]:
    """Hosts whose heartbeat confirms what we know."""
    return {beat.host for beat in beats if beat.host in known and known[beat.host].seq == beat.seq}


def _shown_anew(changed: Iterable[StatusRow], before: dict[HostName, StatusRow]) -> list[HostName]:
    return [row.host for row in changed if row.host not in before or before[row.host].shown != row.shown]


async def _cloned(
    connection: AsyncConnection, new: Sequence[Report], senders: Mapping[HostName, Sender], now_us: int
) -> set[HostName]:
    """Hosts under whose identity one number was used for two reports, unless that was told within the hour."""
    used = Counter((report.host, report.seq) for report in new)
    suspects = {host for (host, _), times in used.items() if times > 1}
    for host, received_us in await reports.known_numbers(connection, used.keys()):
        sender = senders.get(host)
        if sender is None or sender.enrolled_at_us <= received_us:  # who enrols anew counts from 1 again
            suspects.add(host)
    return {
        host
        for host in suspects
        if host in senders and (senders[host].clone_seen_us or 0) < now_us - TELL_AGAIN_S * 1_000_000
    }


async def _describe_sender(connection: AsyncConnection, report: Report, sender: Sender | None) -> None:
    """Keep the newest boot id and version with the identity; they change seldom."""
    told = {"boot_id": report.status.boot_id[:64], "agent_version": report.status.agent_version[:64]}
    if sender is not None and told != {"boot_id": sender.boot_id, "agent_version": sender.agent_version}:
        await reports.describe_sender(connection, report.host, told)


async def _tell_of_clone(connection: AsyncConnection, host: HostName, now: datetime) -> None:
    await reports.describe_sender(connection, host, {"clone_seen_us": micros(now)})
    await audit.append(
        connection,
        now=now,
        actor=f"host:{host}",
        action="host.cloned",
        subject=f"host/{host}",
        detail={
            "message": "two different reports carry one number: a copy of this machine sends too, or it was set back "
            "to an older state; invite it again, and enrol exactly one of them"
        },
    )
