"""Record and report: from what a pass found to the status of the host, and to the outbox when anything is new."""

from datetime import UTC, datetime

from msgspec.structs import replace

from desired_state.names import HostName, digest_of
from desired_state.outcome import Evidence, conditions, health_of, service_statuses, sync_of
from desired_state.report import Report, Run, Status, StepResult
from puller.store.journal import OpenRun

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def status_of(evidence: Evidence, previous: Status | None, *, about: Status) -> Status:
    """What the host knows of itself. `about` has the fields that do not follow from the evidence."""
    sync = sync_of(evidence)
    if sync == "synced" and evidence.document is not None and evidence.document.revision != about.accepted_revision:
        sync = "behind"  # an older document is kept up because the newest cannot be had whole
    applied = previous.applied_revision if previous else None
    plan = evidence.plan
    if evidence.withdrawn:
        applied = None
    elif evidence.document is not None and plan is not None and not (plan.changes or plan.held):
        applied = evidence.document.revision
    return replace(
        about,
        sync=sync,
        health=health_of(evidence),
        mode=evidence.mode,
        applied_revision=applied,
        refused=evidence.refused,
        refused_reason=evidence.refused_reason,
        conditions=conditions(evidence),
        services=service_statuses(evidence),
        held=plan.held if plan else (),
    )


def says_the_same(one: Status | None, other: Status) -> bool:
    """Whether two statuses differ in nothing but the moments at which somebody looked."""
    return one is not None and _timeless(one) == _timeless(other)


def report_of(
    status: Status, *, host: HostName, seq: int, run: OpenRun, results: tuple[StepResult, ...], at: datetime, ms: int
) -> Report:
    """The report of a pass. It speaks of a run only if there was one."""
    told = Run(id=run.id, trigger=run.trigger, started_at=run.started_at, duration_ms=ms, steps=results)  # type: ignore[arg-type]
    return Report(
        schema="towline.report/1",
        id=digest_of(f"{host}\n{seq}\n{run.id}".encode()),
        host=host,
        seq=seq,
        at=at,
        status=status,
        run=told if results else None,
    )


def _timeless(status: Status) -> Status:
    return replace(
        status,
        services=tuple(
            replace(
                service,
                observation=replace(service.observation, seen_at=_NEVER, probed_at=None, by="script"),
            )
            if service.observation
            else service
            for service in status.services
        ),
    )
