"""What a pass amounts to: axes and conditions. Nobody ever has to ask whether green means green.

Ready=True is said in one place, and only when all of this holds: the newest bytes of the source were accepted, nothing
differs any more (by a look after the last step), every service that shall run is healthy, nothing is held, and the
mode is not suspended. Freshness is missing here on purpose: a silent host cannot say that it is silent; the reader
derives it from the age of the evidence.
"""

from datetime import datetime

from msgspec import Struct

from desired_state.change import Change
from desired_state.document import Document, Mode
from desired_state.observed import Observation, Observed
from desired_state.record import Record
from desired_state.report import Condition, HealthWord, ServiceStatus, StepResult, Sync, Truth
from desired_state.step import Held, Plan

REASONS = {
    "Converged": "applied, verified by looking, every service healthy",
    "Progressing": "steps are still to be done",
    "Drifted": "differs from what was applied, and the mode forbids repair",
    "StepFailed": "a step failed",
    "ServiceUnhealthy": "a service that shall run does not",
    "ServiceDegraded": "a service runs but is not whole",
    "LookFailed": "a service could not be looked at",
    "Withdrawn": "a person on the host had everything removed; its document is not applied",
    "Held": "a step waits for a person",
    "RolledBack": "a bad revision was undone; the last good one runs",
    "RetryPending": "a failed step will be tried again",
    "ChangesOutstanding": "a newer document is not applied yet",
    "NoDocument": "no document was ever accepted",
    "SourceUnavailable": "the source of documents does not answer",
    "DocumentRefused": "the newest document was refused",
    "DocumentExpired": "the document that is held has expired",
    "SuspendedByDocument": "suspended by the document",
    "SuspendedLocally": "suspended on the host",
    "NotSuspended": "enforced or audited",
    "NothingToDo": "no step is outstanding",
    "NothingStalled": "nothing waits for a person",
}
"""The closed set of reasons that this module gives; a refusal's own reason is carried beside it."""


class Evidence(Struct, frozen=True, kw_only=True):
    """All that a pass knows at its end. `plan` is the plan of a look made after the last step."""

    document: Document | None
    plan: Plan | None
    record: Record
    observed: Observed
    mode: Mode
    now: datetime
    results: tuple[StepResult, ...] = ()
    stalled: tuple[str, ...] = ()
    """Failures that need a person, as sentences that name service and step."""
    retrying: tuple[str, ...] = ()
    refused_reason: str = ""
    refused: str = ""
    unavailable: str = ""
    expired: str = ""
    rolled_back: str = ""
    """Which revision was undone, why, and which one runs instead."""
    suspended_locally: str = ""
    withdrawn: str = ""
    """By whose order, on the host, everything is taken away; `document` is the one under that order."""
    previous: tuple[Condition, ...] = ()


Verdict = tuple[Truth, str, str]


def sync_of(evidence: Evidence) -> Sync:
    """Whether the newest revision is what this host is in: `synced` needs a look that found nothing different."""
    if evidence.refused:
        return "refused"
    if evidence.document is None or evidence.plan is None:
        return "unknown"
    if (
        evidence.withdrawn
        or evidence.rolled_back
        or evidence.plan.held
        or any(c.intent == "intended" for c in evidence.plan.changes)
    ):
        return "behind"
    return "drifted" if evidence.plan.changes else "synced"


def health_of(evidence: Evidence) -> HealthWord:
    """The worst health among the services of the document that shall run."""
    if evidence.withdrawn:
        return "unknown"  # that nothing runs is what was asked for, and no health
    words = [status.health for status in service_statuses(evidence) if status.desired_state in ("running", "adopted")]
    order: tuple[HealthWord, ...] = ("unhealthy", "unknown", "degraded")
    return next((word for word in order if word in words), "healthy" if evidence.document else "unknown")


def service_statuses(evidence: Evidence) -> tuple[ServiceStatus, ...]:
    """Every service of document and record, desired beside recorded and observed, with what still differs."""
    wanted = {s.name: s for s in evidence.document.services} if evidence.document else {}
    changes = evidence.plan.changes if evidence.plan else ()
    statuses = []
    for name in sorted(wanted.keys() | evidence.record.keys()):
        service, recorded, seen = wanted.get(name), evidence.record.get(name), evidence.observed.get(name)
        kind = service.kind if service else evidence.record[name].kind
        statuses.append(
            ServiceStatus(
                name=name,
                kind=kind,
                desired_state=service.state if service else None,
                desired_version=service.version if service else None,
                health=health_word(service.state if service else None, seen),
                observation=seen,
                recorded=recorded,
                changes=tuple(change for change in changes if change.service == name),
                message=_message(service is not None, recorded is not None and recorded.state != "absent", seen),
            )
        )
    return tuple(statuses)


def health_word(wanted: str | None, seen: Observation | None) -> HealthWord:
    """One service's health: the answer of its probe, in the light of what it shall be."""
    if seen is None or seen.state == "unknown":
        return "unknown"
    if wanted in ("stopped", "absent", None):
        return "healthy" if seen.state in ("stopped", "absent", "running") else "degraded"
    return {"running": "healthy", "degraded": "degraded"}.get(seen.state, "unhealthy")  # type: ignore[return-value]


def conditions(evidence: Evidence) -> tuple[Condition, ...]:
    """Ready, Reconciling, Stalled, Suspended. `since` stands still for as long as status and reason do."""
    verdicts: dict[str, Verdict] = {
        "Ready": _ready(evidence),
        "Reconciling": _reconciling(evidence),
        "Stalled": _stalled(evidence),
        "Suspended": _suspended(evidence),
    }
    before = {condition.type: condition for condition in evidence.previous}
    result = []
    for name, (status, reason, message) in verdicts.items():
        old = before.get(name)  # type: ignore[call-overload]
        same = old is not None and (old.status, old.reason) == (status, reason)
        since = old.since if old is not None and same else evidence.now
        result.append(Condition(type=name, status=status, reason=reason, message=message[:2000], since=since))  # type: ignore[arg-type]
    return tuple(result)


def _ready(e: Evidence) -> Verdict:
    if e.document is None:
        return "False", "NoDocument", e.refused or e.unavailable or "no document was ever accepted by this host"
    suspended = _suspended(e)
    if suspended[0] == "True":
        return "False", suspended[1], suspended[2]
    stalled = _stalled(e)
    if stalled[0] == "True":
        return "False", stalled[1], stalled[2]
    if e.plan is None:
        return "Unknown", "LookFailed", "this host was not looked at"
    if e.retrying:
        return "False", "StepFailed", "; ".join(e.retrying)
    if e.plan.held:
        return "False", "LookFailed", _sentence(e.plan.held)
    if e.plan.changes:
        return _differs(e, e.plan.changes)
    return _by_health(e)


def _differs(e: Evidence, changes: tuple[Change, ...]) -> Verdict:
    told = "; ".join(f"{change.service}: {change.reason}" for change in changes[:5])
    more = f" and {len(changes) - 5} more" if len(changes) > 5 else ""
    if e.mode == "audit":
        return "False", "Drifted", f"mode audit changes nothing: {told}{more}"
    return "False", "Progressing", told + more


def _by_health(e: Evidence) -> Verdict:
    if e.withdrawn:
        return "False", "Withdrawn", e.withdrawn
    for word, reason in (("unhealthy", "ServiceUnhealthy"), ("unknown", "LookFailed"), ("degraded", "ServiceDegraded")):
        sick = [
            status
            for status in service_statuses(e)
            if status.desired_state in ("running", "adopted") and status.health == word
        ]
        if sick:
            told = "; ".join(
                f"{s.name}: {(s.observation.reason if s.observation else '') or s.message or word}" for s in sick
            )
            return "False", reason, told
    if e.unavailable:
        # What is held is met; whether it is the newest nobody can say.
        return "Unknown", "SourceUnavailable", e.unavailable
    assert e.document is not None  # noqa: S101 - _ready returned before
    return "True", "Converged", f"revision {e.document.revision} is applied and was verified by looking"


def _reconciling(e: Evidence) -> Verdict:
    if e.document is None or e.mode != "enforce":
        return "False", "NothingToDo", ""
    if e.retrying:
        return "True", "RetryPending", "; ".join(e.retrying)
    if e.plan is not None and e.plan.steps:
        return "True", "ChangesOutstanding", f"steps outstanding: {len(e.plan.steps)}"
    return "False", "NothingToDo", ""


def _stalled(e: Evidence) -> Verdict:
    if e.refused:
        return "True", "DocumentRefused", f"{e.refused_reason}: {e.refused}"
    if e.expired:
        return "True", "DocumentExpired", e.expired
    if e.rolled_back:
        return "True", "RolledBack", e.rolled_back
    if e.stalled:
        return "True", "StepFailed", "; ".join(e.stalled)
    waiting = [hold for hold in e.plan.held if hold.verb != "check_status"] if e.plan else []
    if waiting:
        return "True", "Held", _sentence(tuple(waiting))
    return "False", "NothingStalled", ""


def _suspended(e: Evidence) -> Verdict:
    if e.mode != "suspended":
        return "False", "NotSuspended", ""
    if e.suspended_locally:
        return "True", "SuspendedLocally", e.suspended_locally
    return "True", "SuspendedByDocument", e.document.mode_reason if e.document else ""


def _sentence(held: tuple[Held, ...]) -> str:
    return "; ".join(f"{hold.service}: {hold.reason}" for hold in held[:5])


def _message(declared: bool, applied: bool, seen: Observation | None) -> str:
    if not declared and applied:
        return "is not in the document: left alone (declare it absent to remove it)"
    return seen.reason if seen else ""
