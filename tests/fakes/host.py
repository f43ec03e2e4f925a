"""A host that exists on paper only: it takes documents, drifts, and says of itself what the real outcome would say."""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal

from msgspec.structs import replace

from desired_state.change import Change, Intent
from desired_state.contract import Effect, Verb
from desired_state.document import Document, Mode, Service
from desired_state.names import digest_of
from desired_state.observed import Identity, Observation
from desired_state.outcome import Evidence, conditions, health_of, service_statuses, sync_of
from desired_state.parameters import with_defaults
from desired_state.plan import make_plan
from desired_state.record import Recorded
from desired_state.report import Report, Run, Status, StepResult
from tests.fakes.kinds import KINDS

Trigger = Literal["schedule", "start", "exit", "document", "request", "retry"]


class PaperHost:
    """Keeps what a host would keep: the document it holds, its record, and what would be seen on it."""

    def __init__(self, name: str, *, boot_id: str = "0f3a9b1e-7d54-4c0e-9a63-2b8f5d1c7e90") -> None:
        self.name = name
        self.boot_id = boot_id
        self.document: Document | None = None
        self.digest = ""
        self.applied: int | None = None
        self.record: dict[str, Recorded] = {}
        self.seen: dict[str, Observation] = {}
        self.said: dict[str, object] = {}
        self.seq = 0

    def hold(self, document: Document, digest: str) -> None:
        """Accept a document without applying it."""
        self.document, self.digest = document, digest

    def apply(self, document: Document, digest: str, at: datetime) -> None:
        """Accept a document and reach it."""
        self.hold(document, digest)
        self.applied = document.revision
        for service in document.services:
            before = self.record.get(service.name)
            self.record[service.name] = _recorded(service, document.revision, at, self.boot_id)
            self.seen[service.name] = _seen(service, self.record[service.name], at)
            if before is not None and before.parameters == self.record[service.name].parameters:
                same = replace(self.record[service.name], identity=before.identity, applied_at=before.applied_at)
                self.record[service.name] = replace(same, revision=before.revision)
                self.seen[service.name] = replace(self.seen[service.name], identity=before.identity)

    def see(self, service: str, **fields: object) -> None:
        """Something was done to a service behind towline's back."""
        self.seen[service] = replace(self.seen[service], **fields)

    def status(self, now: datetime, *, mode: Mode = "enforce", **evidence: Any) -> Status:
        """What it says of itself, by the functions that real hosts use."""
        plan = make_plan(self.document, self.record, self.seen, KINDS) if self.document else None
        known = Evidence(
            document=self.document,
            plan=plan,
            record=self.record,
            observed=self.seen,
            mode=mode,
            now=now,
            **evidence,
        )
        return Status(
            host=self.name,
            sync=sync_of(known),
            health=health_of(known),
            mode=mode,
            accepted_epoch=self.document.epoch if self.document else None,
            accepted_revision=self.document.revision if self.document else None,
            applied_revision=self.applied,
            document_digest=self.digest,
            refused=str(evidence.get("refused", "")),
            refused_reason=str(evidence.get("refused_reason", "")),
            conditions=conditions(known),
            services=service_statuses(known),
            held=plan.held if plan else (),
            boot_id=self.boot_id,
            agent_version="0.1.0",
            source="http",
        )

    def report(self, at: datetime, status: Status, *steps: StepResult, trigger: Trigger = "schedule") -> Report:
        """The next report, with a run when there are steps."""
        self.seq += 1
        run = Run(
            id=f"run-{self.name.replace(chr(46), chr(45))}-{self.seq:06d}",
            trigger=trigger,
            started_at=at - timedelta(milliseconds=sum(step.duration_ms for step in steps)),
            duration_ms=120 + sum(step.duration_ms for step in steps),
            steps=steps,
        )
        return Report(
            schema="towline.report/1",
            id=digest_of(f"{self.name}/{self.seq}".encode()),
            host=self.name,
            seq=self.seq,
            at=at,
            status=status,
            run=run if steps else None,
        )


def step(service: str, verb: Verb, *reasons: str, repair: bool = False, **fields: Any) -> StepResult:
    """One step that was done."""
    intent: Intent = "corrective" if repair else "intended"
    given: dict[str, Any] = {"outcome": "done", "exit_code": 0, "changed": True, "duration_ms": 240, **fields}
    identity = digest_of(f"{service}{verb}{reasons}".encode())
    return StepResult(id=identity, service=service, verb=verb, intent=intent, reasons=reasons, **given)


def config_digest(text: str) -> str:
    """The digest of a configuration that says this."""
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def differences(status: Status) -> tuple[Change, ...]:
    """Everything that a status says still differs."""
    return tuple(change for service in status.services for change in service.changes)


def _recorded(service: Service, revision: int, at: datetime, boot_id: str) -> Recorded:
    parameters = with_defaults(service.parameters, KINDS[service.kind])
    pid = 2000 + int(sha256(service.name.encode()).hexdigest()[:3], 16)
    up = service.state in ("running", "adopted")
    return Recorded(
        name=service.name,
        kind=service.kind,
        version=service.version,
        state="running" if up else "stopped" if service.state == "stopped" else "absent",
        parameters=parameters,
        packages={role: package.digest for role, package in service.packages.items()},
        config=config_digest(repr(sorted(parameters.items()))),
        pending=Effect.NONE,
        identity=Identity(boot_id=boot_id, pid=pid, start_time=884_213, exe=f"/opt/towline/{service.kind}")
        if up
        else None,
        holds_data=KINDS[service.kind].holds_data,
        revision=revision,
        applied_at=at,
    )


def _seen(service: Service, recorded: Recorded, at: datetime) -> Observation:
    up = service.state in ("running", "adopted")
    return Observation(
        service=service.name,
        state="running" if up else "stopped" if service.state == "stopped" else "absent",
        seen_at=at,
        by="glance",
        probed_at=at - timedelta(seconds=21),
        version=service.version,
        config=recorded.config,
        identity=recorded.identity,
        ports=(int(recorded.parameters["port"]),) if up and "port" in recorded.parameters else (),
        unit=f"towline-{service.name}.service",
    )
