"""Fourteen hosts of a small company on an ordinary morning: something of everything that the page must show."""

from datetime import datetime, timedelta

from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import transaction
from api.services import audit
from desired_state.catalogue import HostEntry, Override, Placement, Problem, ServiceEntry
from desired_state.contract import Verb
from tests.fakes.fleet import PaperFleet
from tests.fakes.host import PaperHost, config_digest, step

CACHE = ServiceEntry(
    service="cache",
    kind="redis",
    version="8.0.2",
    description="Shared cache of the shop",
    parameters={"port": 6379, "maxmemory": "256mb", "maxmemory_policy": "allkeys-lru"},
    packages={"server": "valkey-8.0.2"},
    placement=Placement(labels={"role": "cache"}),
    overrides={"cache-2.ams": Override(parameters={"maxmemory": "512mb"})},
)
ORDERS = ServiceEntry(
    service="orders",
    kind="java",
    version="4.11.0",
    description="Takes orders; needs the cache",
    parameters={"port": 8081, "heap": "512mb", "log_level": "INFO"},
    packages={"jar": "orders-4.11.0"},
    placement=Placement(labels={"role": "app"}),
)
SESSIONS = ServiceEntry(
    service="sessions",
    kind="redis",
    version="8.0.2",
    description="Sessions of signed-in customers",
    parameters={"port": 6380, "maxmemory": "128mb"},
    packages={"server": "valkey-8.0.2"},
    placement=Placement(labels={"role": "app"}),
)
EDGE = ServiceEntry(
    service="edge",
    kind="nginx",
    version="1.28.0",
    description="What customers reach first",
    parameters={"port": 8443, "workers": 4, "upstream": "127.0.0.1:8081"},
    packages={"server": "nginx-1.28.0"},
    placement=Placement(labels={"role": "web"}),
)


def _host(name: str, role: str, description: str = "") -> HostEntry:
    site = name.rsplit(".", 1)[-1]
    return HostEntry(host=name, description=description, labels={"role": role, "site": site})


HOSTS = (
    _host("app-1.ams", "app"),
    _host("app-2.ams", "app"),
    _host("app-3.ams", "app"),
    _host("app-1.fra", "app"),
    _host("app-2.fra", "app"),
    _host("batch-1.fra", "app", "Nightly invoices"),
    _host("cache-1.ams", "cache"),
    _host("cache-2.ams", "cache", "Twice the memory"),
    _host("cache-1.fra", "cache"),
    _host("web-1.ams", "web"),
    _host("web-2.ams", "web"),
    _host("web-1.fra", "web"),
    _host("web-2.fra", "web"),
    _host("web-3.fra", "web", "Ordered, not racked yet"),
)
BAD = (
    Problem(
        pointer="/services/cache/parameters/maxmemory",
        message="256 is not a size: write it with its unit, like 256mb",
        file="catalogue/services/cache.yaml",
        line=11,
    ),
    Problem(
        pointer="/services/edge/depends_on/0",
        message="there is no service order; did you mean orders?",
        file="catalogue/services/edge.yaml",
        line=14,
    ),
)
STACK = """Starting orders 4.12.0 with heap 512mb
Exception in thread "main" java.net.BindException: Address already in use
\tat java.base/sun.nio.ch.Net.bind0(Native Method)
\tat java.base/sun.nio.ch.Net.bind(Net.java:565)
\tat shop.orders.Main.main(Main.java:41)
reason: port 8081 is taken by pid 714 (python3)"""


async def tell(engine: AsyncEngine, now: datetime) -> dict[str, PaperHost]:
    """Write all of it; returns the hosts, so that a test may go on with the story."""
    fleet = PaperFleet(engine, now)
    papers = {host.host: PaperHost(host.host) for host in HOSTS}
    waiting = "web-3.fra"
    live = [name for name in papers if name != waiting]
    await fleet.change("First catalogue", "Ines Oduya", fleet.before(days=40), *HOSTS, CACHE, ORDERS, SESSIONS, EDGE)
    await fleet.enrol(*live)
    for name in live:
        await fleet.roll_out(papers[name], fleet.before(days=39))
        first = [
            step(service.name, Verb.INSTALL, "is not installed", duration_ms=2100)
            for service in papers[name].document.services
        ]
        await _said(fleet, papers[name], fleet.before(days=39), *first)
    more = replace(CACHE, parameters=CACHE.parameters | {"maxmemory": "384mb"})
    await fleet.change("Give the cache more memory", "Tomás Rivera", fleet.before(days=6), more)
    for name in ("cache-1.ams", "cache-2.ams", "cache-1.fra"):
        await fleet.roll_out(papers[name], fleet.before(days=6))
        await _said(
            fleet,
            papers[name],
            fleet.before(days=6),
            step("cache", Verb.CONFIGURE, "maxmemory: 256mb -> 384mb", duration_ms=90),
            step("cache", Verb.RELOAD, "maxmemory: 256mb -> 384mb", duration_ms=45),
        )
    newer = replace(ORDERS, version="4.12.0", packages={"jar": "orders-4.12.0"}, depends_on=("sessions",))
    await fleet.change("Orders 4.12: retries for payments", "Mei Lindqvist", fleet.before(minutes=52), newer)
    await _orders_rollout(fleet, papers)
    await fleet.change("Memory of the cache as a number", "Jonas Weil", fleet.before(minutes=9), more, problems=BAD)
    await _morning(fleet, papers)
    await _log(engine, fleet)
    return papers


async def _orders_rollout(fleet: PaperFleet, papers: dict[str, PaperHost]) -> None:
    for name in ("app-1.ams", "app-2.ams", "app-1.fra"):
        at = fleet.before(minutes=50)
        await fleet.roll_out(papers[name], at)
        await _said(
            fleet,
            papers[name],
            at,
            step("orders", Verb.STOP, "version 4.11.0 -> 4.12.0", duration_ms=1800),
            step("orders", Verb.INSTALL, "version 4.11.0 -> 4.12.0", duration_ms=3200, log="unpacked orders-4.12.0"),
            step("orders", Verb.START, "version 4.11.0 -> 4.12.0", duration_ms=4100, log="healthy after 3.6 s"),
        )
    for name in ("app-3.ams", "app-2.fra", "batch-1.fra"):
        made, digest = await fleet.publish(name, fleet.before(minutes=50))
        if name != "batch-1.fra":
            papers[name].hold(made, digest)


async def _morning(fleet: PaperFleet, papers: dict[str, PaperHost]) -> None:
    """How things stand now."""
    for name in ("app-1.ams", "app-1.fra", "cache-1.ams", "cache-1.fra", "web-1.ams", "web-1.fra"):
        await _said(fleet, papers[name], fleet.before(seconds=14 + len(name)))
    await _said(
        fleet,
        papers["app-2.ams"],
        fleet.before(seconds=31),
        step("sessions", Verb.START, "stopped by itself or by somebody and shall run", repair=True, duration_ms=310),
    )
    await _drifted(fleet, papers["cache-2.ams"])
    await _failed(fleet, papers["app-3.ams"])
    refused = "revision 1 is older than revision 2, which this host accepted before: an old document was replayed"
    status = papers["web-2.ams"].status(
        fleet.before(minutes=4), refused_reason="RevisionOld", refused=refused, stalled=()
    )
    await fleet.ingest(papers["web-2.ams"].report(fleet.before(minutes=4), status), seen_at=fleet.before(seconds=40))
    await _said(fleet, papers["app-2.fra"], fleet.before(seconds=3))
    await _said(fleet, papers["batch-1.fra"], fleet.before(hours=2, minutes=11))
    await _said(fleet, papers["web-2.fra"], fleet.before(seconds=25))
    await fleet.suspend(
        "web-2.fra", "Certificate swap with the carrier, ticket OPS-412", "token:tomas", fleet.before(hours=-3)
    )


async def _drifted(fleet: PaperFleet, paper: PaperHost) -> None:
    paper.see(
        "cache",
        probed_at=fleet.before(seconds=41),
        config=config_digest("edited by hand"),
        drift=(
            "redis.conf: maxmemory = 536870912 -> 1073741824",
            "redis.conf: maxclients = 10000 -> 20000",
            "redis.conf: client-output-buffer-limit = (not set) -> normal 0 0 0",
            "password.conf: requirepass = (secret) -> (another secret)",
        ),
        seen_at=fleet.before(seconds=20),
    )
    status = paper.status(fleet.before(seconds=20), mode="audit")
    await fleet.ingest(paper.report(fleet.before(seconds=20), status), seen_at=fleet.before(seconds=19))


async def _failed(fleet: PaperFleet, paper: PaperHost) -> None:
    at = fleet.before(minutes=47)
    paper.record["orders"] = replace(paper.record["orders"], version="4.12.0", state="stopped", identity=None)
    paper.see("sessions", seen_at=at)
    paper.record["orders"] = replace(
        paper.record["orders"], packages={"jar": paper.document.services[0].packages["jar"].digest}, applied_at=at
    )
    paper.see(
        "orders",
        seen_at=at,
        probed_at=at,
        state="stopped",
        version="4.12.0",
        identity=None,
        ports=(),
        reason="its process ended with code 1",
    )
    failure = "orders: start failed with exit code 1: port 8081 is taken by pid 714 (python3)"
    status = paper.status(at, stalled=(failure,))
    steps = (
        step("orders", Verb.STOP, "version 4.11.0 -> 4.12.0", duration_ms=1750),
        step("orders", Verb.INSTALL, "version 4.11.0 -> 4.12.0", duration_ms=3080, log="unpacked orders-4.12.0"),
        step(
            "orders",
            Verb.START,
            "version 4.11.0 -> 4.12.0",
            outcome="failed",
            exit_code=1,
            changed=None,
            duration_ms=2210,
            message="port 8081 is taken by pid 714 (python3)",
            log=STACK,
        ),
    )
    await fleet.ingest(paper.report(at, status, *steps, trigger="document"), seen_at=at)
    await fleet.beat(paper.name, paper.seq, fleet.before(seconds=12))


async def _said(fleet: PaperFleet, paper: PaperHost, at: datetime, *steps: object) -> None:
    for name in paper.seen:
        paper.see(name, seen_at=at, probed_at=at - timedelta(seconds=21))
    await fleet.ingest(paper.report(at, paper.status(at), *steps), seen_at=at)


async def _log(engine: AsyncEngine, fleet: PaperFleet) -> None:
    lines = (
        (39, "host:app-1.ams", "enrolment.accepted", "host/app-1.ams", {"agent_version": "0.1.0"}),
        (6, "schedule", "catalogue.applied", "change/2", {"author": "Tomás Rivera"}),
        (0.04, "anonymous", "enrolment.refused", "host/web-9.fra", {"reason": "the join token was used before"}),
        (0.03, "schedule", "catalogue.applied", "change/3", {"author": "Mei Lindqvist"}),
        (0.007, "schedule", "catalogue.refused", "change/4", {"author": "Jonas Weil", "problems": "2"}),
        (0.005, "token:tomas", "session.opened", "token/tomas", {}),
        (0.003, "token:tomas", "host.suspended", "host/web-2.fra", {"reason": "Certificate swap with the carrier"}),
    )
    async with transaction(engine) as connection:
        for days, actor, action, subject, detail in lines:
            at = fleet.before(days=days)
            await audit.append(connection, now=at, actor=actor, action=action, subject=subject, detail=detail)
