"""A fleet whose every text tries to become markup: in the catalogue, in reports, in the words of people, in the log."""

from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import transaction
from api.services import audit
from desired_state.catalogue import HostEntry, Override, Placement, Problem, ServiceEntry
from desired_state.contract import Verb
from tests.fakes.fleet import PaperFleet
from tests.fakes.host import PaperHost, step

PAYLOAD = """"'><img src=x onerror=alert(1)><script>alert(1)</script><a href="javascript:alert(1)">{{7*7}}</a>"""
HOST = "victim.ams"


async def tell(engine: AsyncEngine, fleet: PaperFleet) -> None:
    """Write it."""
    host = HostEntry(host=HOST, description=PAYLOAD, labels={"role": "cache"}, mode_reason=PAYLOAD)
    service = ServiceEntry(
        service="cache",
        kind="redis",
        version="8.0.2",
        description=PAYLOAD,
        parameters={"port": 6379, "maxmemory_policy": PAYLOAD},
        packages={"server": "valkey"},
        placement=Placement(labels={"role": "cache"}),
        overrides={HOST: Override(parameters={"maxmemory": PAYLOAD})},
    )
    await fleet.change(PAYLOAD, PAYLOAD, fleet.before(days=2), host, service)
    await fleet.enrol(HOST)
    paper = PaperHost(HOST, boot_id=PAYLOAD)
    await fleet.roll_out(paper, fleet.before(days=1))
    paper.see("cache", reason=PAYLOAD, state="degraded", unit=PAYLOAD)
    status = paper.status(fleet.now, refused=PAYLOAD, refused_reason="DocumentMalformed", retrying=(PAYLOAD,))
    bad = step("cache", Verb.START, PAYLOAD, outcome="failed", exit_code=1, message=PAYLOAD, log=PAYLOAD)
    await fleet.ingest(paper.report(fleet.now, status, bad), seen_at=fleet.now)
    await fleet.suspend(HOST, PAYLOAD, PAYLOAD, fleet.before(days=-1))
    problem = Problem(pointer=PAYLOAD, message=PAYLOAD, file=PAYLOAD, line=1)
    await fleet.change(PAYLOAD, PAYLOAD, fleet.now, problems=[problem])
    async with transaction(engine) as connection:
        detail = {"reason": PAYLOAD, PAYLOAD: "key"}
        await audit.append(
            connection, now=fleet.now, actor=PAYLOAD, action="host.suspended", subject=f"host/{PAYLOAD}", detail=detail
        )
