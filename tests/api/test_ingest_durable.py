"""What was answered survives a database that is killed under load: nothing acknowledged is lost, nothing is doubled."""

import asyncio
import contextlib

from sqlalchemy import func, select

from api.database import make_engine, migrate, snapshot, transaction
from api.errors import TryLater
from api.models import host_status, report
from api.services.ingest import Ingest
from desired_state.report import Delivery
from tests.api.signing import SigningHost
from tests.api.test_ingest import a_report
from tests.servers.sql_server import SqlServer

HOSTS = 8
KILLS = 3


async def _send_until(ingest: Ingest, host: str, over: asyncio.Event) -> set[int]:
    """One host's outbox: each report is sent until it is acknowledged; returns the numbers that were."""
    acknowledged: set[int] = set()
    number = 1
    while not over.is_set():
        try:
            await ingest.submit(host, Delivery(reports=(a_report(host, seq=number),)))
        except TryLater:
            await asyncio.sleep(0.02)
            continue
        acknowledged.add(number)
        number += 1
    return acknowledged


def test_no_acknowledged_report_is_lost(durable_mariadb: SqlServer) -> None:
    """Eight hosts report while the server is killed with SIGKILL three times."""
    url = durable_mariadb.url(durable_mariadb.new_database())

    async def work() -> None:
        engine = make_engine(url)
        await migrate(engine)
        async with transaction(engine) as connection:
            for number in range(HOSTS):
                await SigningHost(f"h{number}").enrol(connection)
        ingest, over = Ingest(engine), asyncio.Event()
        senders = [asyncio.create_task(_send_until(ingest, f"h{number}", over)) for number in range(HOSTS)]
        for _ in range(KILLS):
            await asyncio.sleep(0.5)
            await asyncio.to_thread(durable_mariadb.kill)
            await asyncio.to_thread(durable_mariadb.start)
        await asyncio.sleep(0.3)
        over.set()
        acknowledged = await asyncio.gather(*senders)
        with contextlib.suppress(TryLater):
            await ingest.drain()
        async with snapshot(engine) as connection:
            rows = await connection.execute(
                select(report.c.host, report.c.seq, func.count()).group_by(report.c.host, report.c.seq)
            )
            stored = {(host, seq): count for host, seq, count in rows}
            rows = await connection.execute(select(host_status.c.host, host_status.c.seq))
            newest = {row.host: row.seq for row in rows}
        told = {(f"h{number}", seq) for number, mine in enumerate(acknowledged) for seq in mine}
        assert sum(len(mine) for mine in acknowledged) > HOSTS
        assert told - stored.keys() == set()
        assert set(stored.values()) == {1}
        assert newest == {f"h{n}": max(seq for host, seq in stored if host == f"h{n}") for n in range(HOSTS)}
        await engine.dispose()

    asyncio.run(work())
