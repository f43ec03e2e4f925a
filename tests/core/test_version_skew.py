"""Reports and the record are read whoever wrote them: an agent may be newer than its backend, or was undone."""

from datetime import UTC, datetime

import msgspec

from desired_state.change import Change
from desired_state.contract import Verb
from desired_state.names import digest_of
from desired_state.observed import Identity, Observation
from desired_state.record import Recorded
from desired_state.report import (
    Condition,
    Delivery,
    Heartbeat,
    Report,
    Run,
    ServiceStatus,
    Status,
    StepResult,
)
from desired_state.step import Held, Step
from tests.core.newer import of_a_newer_version

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
DIGEST = digest_of(b"x")
PROCESS = Identity(boot_id="b", pid=7, start_time=99, exe="/bin/x")
RECORDED = Recorded(
    name="one",
    kind="toy",
    version="1",
    state="running",
    parameters={"port": "1"},
    packages={"server": DIGEST},
    identity=PROCESS,
)
SEEN = Observation(service="one", state="running", seen_at=NOW, identity=PROCESS, ports=(1,))
SERVICE = ServiceStatus(
    name="one",
    kind="toy",
    observation=SEEN,
    recorded=RECORDED,
    changes=(Change(service="one", aspect="version", intent="intended", reason="because"),),
)
STATUS = Status(
    host="alpha",
    sync="synced",
    health="healthy",
    mode="enforce",
    conditions=(Condition(type="Ready", status="True", reason="Converged", message="", since=NOW),),
    services=(SERVICE,),
    held=(Held(service="one", verb=Verb.INSTALL, reason="waits"),),
    address="10.0.0.1",
)
RESULT = StepResult(id=DIGEST, service="one", verb=Verb.START, intent="intended", outcome="done")
RUN = Run(id="run-000001", trigger="schedule", started_at=NOW, duration_ms=1, steps=(RESULT,))
REPORT = Report(schema="towline.report/1", id=DIGEST, host="alpha", seq=1, at=NOW, status=STATUS, run=RUN)
DELIVERY = Delivery(reports=(REPORT,), heartbeat=Heartbeat(schema="towline.heartbeat/1", host="alpha", seq=1, at=NOW))


def test_a_newer_agents_delivery_is_read() -> None:
    """Everything that this version knows of it is there; the rest is passed over."""
    assert DELIVERY == msgspec.json.decode(of_a_newer_version(DELIVERY), type=Delivery)


def test_a_newer_agents_record_is_read() -> None:
    """An agent that was undone finds what the newer one wrote down."""
    assert RECORDED == msgspec.json.decode(of_a_newer_version(RECORDED), type=Recorded)


def test_a_newer_agents_journal_is_read() -> None:
    """A step that the newer one began is picked up by the older."""
    step = Step(id=DIGEST, service="one", kind="toy", verb=Verb.START, intent="intended", reasons=("because",))
    assert step == msgspec.json.decode(of_a_newer_version(step), type=Step)
