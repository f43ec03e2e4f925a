"""Taking in reports so that they are durable when answered, beside an ORM session with one transaction a report."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from sqlalchemy import BigInteger, LargeBinary, String, insert
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from api.database import make_engine, migrate, transaction
from api.models import host_identity
from api.services.ingest import Ingest
from desired_state.contract import Verb
from desired_state.names import digest_of
from desired_state.observed import Identity, Observation
from desired_state.report import Condition, Delivery, Report, Run, ServiceStatus, Status, StepResult
from tests.bench.fleet import NOW, host_names
from tests.bench.measurement import Aim, Measurement
from tests.servers.mariadb import mariadb_server

HOSTS = 1_000
SENDERS = 200
"""How many hosts wait for an answer at a time."""
DURATION_S = 4.0


def measure() -> Iterator[Measurement]:
    """Reports a second on a durable MariaDB and on SQLite, each side with the same senders."""
    for name, opened, aim in (("MariaDB", _mariadb, Aim(at_least=22, of="ratio")), ("SQLite", _sqlite, None)):
        with opened() as url:
            ours, orm = asyncio.run(_both(url))
        yield Measurement(
            name=f"report ingest on {name}",
            value=ours,
            unit="reports/s",
            reference=orm,
            reference_name="ORM session, a transaction a report",
            aim=aim,
        )


@contextmanager
def _mariadb() -> Iterator[str]:
    server = mariadb_server(durable=True)
    try:
        yield server.url(server.new_database())
    finally:
        server.remove()


@contextmanager
def _sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="towline-bench-") as folder:
        yield f"sqlite+aiosqlite:///{Path(folder) / 'towline.sqlite3'}"


async def _both(url: str) -> tuple[float, float]:
    engine = make_engine(url)
    try:
        await migrate(engine)
        await _enrol(engine)
        async with engine.begin() as connection:
            await connection.run_sync(_Base.metadata.create_all)
        ingest = Ingest(engine)

        async def ours(report: Report) -> None:
            await ingest.submit(report.host, Delivery(reports=(report,)))

        async def orm(report: Report) -> None:
            await _by_orm(engine, report)

        # A host's first report costs more than all that follow.
        await asyncio.gather(*(ours(_report(host, 1)) for host in host_names(HOSTS)))
        return await _per_second(ours, first=2), await _per_second(orm, first=2)
    finally:
        await engine.dispose()


async def _per_second(deliver: Callable[[Report], Awaitable[None]], *, first: int) -> float:
    """How many reports are durable in a second while SENDERS hosts send as fast as they are answered."""
    began, count = time.monotonic(), 0

    async def send(names: list[str]) -> None:
        nonlocal count
        seq = first
        while True:
            for name in names:
                report = _report(name, seq)
                if time.monotonic() - began > DURATION_S:
                    return
                await deliver(report)
                count += 1
            seq += 1

    names = host_names(HOSTS)
    await asyncio.gather(*(send(names[number::SENDERS]) for number in range(SENDERS)))
    return count / (time.monotonic() - began)


async def _enrol(engine: AsyncEngine) -> None:
    rows = [
        {"host": host, "identity_key": "", "sealing_key": "", "enrolled_at_us": 0, "agent_version": "", "boot_id": ""}
        for host in host_names(HOSTS)
    ]
    async with transaction(engine) as connection:
        await connection.execute(insert(host_identity), rows)


class _Base(DeclarativeBase):
    pass


class _ReportOfOrm(_Base):
    __tablename__ = "bench_report"
    id: Mapped[str] = mapped_column(String(71), primary_key=True)
    host: Mapped[str] = mapped_column(String(128), index=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    body: Mapped[bytes] = mapped_column(LargeBinary(65_000))


class _StatusOfOrm(_Base):
    __tablename__ = "bench_status"
    host: Mapped[str] = mapped_column(String(128), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[bytes] = mapped_column(LargeBinary(65_000))


async def _by_orm(engine: AsyncEngine, report: Report) -> None:
    """The usual way: merge the report and the host's status, commit, answer."""
    async with AsyncSession(engine) as session:
        body, status = msgspec.json.encode(report), msgspec.json.encode(report.status)
        await session.merge(_ReportOfOrm(id=report.id, host=report.host, seq=report.seq, body=body))
        await session.merge(_StatusOfOrm(host=report.host, seq=report.seq, status=status))
        await session.commit()


def _report(host: str, seq: int) -> Report:
    """A report as a pass with one step sends it, about ten services."""
    at = datetime.now(UTC)
    return msgspec.structs.replace(
        _TEMPLATE, id=digest_of(f"{host} {seq}".encode()), host=host, seq=seq, at=at, status=_status(host, seq)
    )


def _status(host: str, seq: int) -> Status:
    # Every report says something else, as real ones do: a status that equals the known one would cost nothing.
    return msgspec.structs.replace(_TEMPLATE.status, host=host, applied_revision=seq)


def _service(number: int) -> ServiceStatus:
    identity = Identity(boot_id="b" * 36, pid=1000 + number, start_time=123_456, command=digest_of(b"command"))
    seen = Observation(
        service=f"service-{number}",
        state="running",
        seen_at=NOW,
        version="1.0",
        config=digest_of(b"config"),
        identity=identity,
    )
    return ServiceStatus(
        name=seen.service,
        kind="thing",
        desired_state="running",
        desired_version="1.0",
        health="healthy",
        observation=seen,
    )


_TEMPLATE = Report(
    schema="towline.report/1",
    id=digest_of(b""),
    host="web",
    seq=1,
    at=NOW,
    status=Status(
        host="web",
        sync="synced",
        health="healthy",
        mode="enforce",
        accepted_epoch=1,
        accepted_revision=1,
        applied_revision=1,
        document_digest=digest_of(b"document"),
        conditions=(
            Condition(type="Ready", status="True", reason="Converged", message="as declared", since=NOW),
            Condition(type="Reconciling", status="False", reason="InSync", message="", since=NOW),
        ),
        services=tuple(_service(number) for number in range(10)),
        boot_id="b" * 36,
        agent_version="0.1.0",
        source="http",
    ),
    run=Run(
        id="run-00000001",
        trigger="document",
        started_at=NOW - timedelta(seconds=3),
        duration_ms=3000,
        steps=(
            StepResult(
                id=digest_of(b"step"),
                service="service-1",
                verb=Verb.CONFIGURE,
                intent="intended",
                outcome="done",
                exit_code=0,
                changed=True,
                duration_ms=120,
            ),
        ),
    ),
)
