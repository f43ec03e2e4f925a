"""The status in words: what is wrong, since when, and what to do."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from desired_state.diff import SHOWN_DRIFT
from desired_state.report import Condition, ServiceStatus, Status
from desired_state.step import Plan, Step
from puller.status import LocalStatus

ADVICE = {
    "NoDocument": "add this host to the catalogue and publish, or wait for the next poll",
    "SourceUnavailable": "what runs is kept up meanwhile; look at the network, the proxy and the source's address in "
    "etc/puller.toml",
    "DocumentRefused": "what runs is kept up as the last accepted document says; publish a good document",
    "DocumentExpired": "publish again, or set this host's clock right",
    "RolledBack": "correct what the message says in the catalogue and publish a newer revision",
    "StepFailed": "put right what the message says; then publish a change, or try again now: towline-puller once",
    "Withdrawn": "take the agent away too (agentctl.sh uninstall), or start it: it installs everything again",
    "Held": "decide what the message asks",
    "Drifted": "mode audit changes nothing: set mode enforce in the catalogue to have it repaired",
    "LookFailed": "run the script's check_status by hand: its log is in the message or on the page",
    "ServiceUnhealthy": "look at the service's own log under services/<name>/log",
    "ServiceDegraded": "look at the service's own log under services/<name>/log",
    "SuspendedLocally": "when the work is done: towline-puller resume",
    "SuspendedByDocument": "resume the host on the page or in the catalogue",
    "RetryPending": "nothing: it is tried again by itself",
    "ChangesOutstanding": "nothing: the next pass goes on",
    "Progressing": "nothing: the next pass goes on",
}
"""What a person can do about each reason; reasons without an entry need nobody."""

DISK_ADVICE = {"full": "make room", "read-only": "look at dmesg, repair it and mount it writable"}


def tell(local: LocalStatus, now: datetime) -> str:
    """The status for a terminal."""
    return "\n".join(_lines(local, now)) + "\n"


def tell_plan(plan: Plan | None, *, mode: str, note: str) -> str:
    """A plan for a terminal: steps in their order, then what is held and why."""
    if plan is None:
        return f"{note or 'no document was ever accepted: nothing to plan'}\n"
    lines = [note] if note else []
    what = f"{len(plan.steps)} steps" if plan.steps or plan.held else "nothing to do"
    lines.append(f"revision {plan.revision}: {what}" + ("" if mode == "enforce" else f" (mode {mode}: none will run)"))
    lines += [_step(step) for step in plan.steps]
    lines += [f"  {hold.service}: {hold.verb} is held: {hold.reason}" for hold in plan.held]
    return "\n".join(lines) + "\n"


def _step(step: Step) -> str:
    marks = {"interrupts": step.interrupts, "removes": step.removes, "deletes data": step.destroys}
    told = ", ".join([step.intent, *(word for word, on in marks.items() if on)])
    return f"  {step.service}: {step.verb} ({told}): {'; '.join(step.reasons)}"


def _lines(local: LocalStatus, now: datetime) -> Iterator[str]:
    if local.disk:
        yield f"this host's disk is {local.disk}: nothing can be recorded, so nothing is changed here"
        yield f"  what to do: {DISK_ADVICE.get(local.disk, 'look at dmesg')}; the agent goes on by itself then"
    if local.status is None or local.last_pass is None:
        yield "unknown: no pass was ever made on this host"
        yield "  what to do: " + (
            "start the agent: towline-puller run" if local.enrolled else "enrol it: towline-puller enroll"
        )
        return
    ready = local.condition("Ready")
    yield f"{local.status.host}: {_headline(local, now)}"
    yield from _freshness(local, local.last_pass, now)
    yield f"  revision: {_revision(local.status)}; health {local.status.health}; mode {local.status.mode}"
    if local.suspension and local.status.mode != "suspended":
        yield f"  suspended on this host from the next pass on: {local.suspension}"
    shown = [c for c in local.status.conditions if c.type != "Ready" and c.status == "True"]
    for condition in ([ready] if ready and ready.status != "True" else []) + shown:
        yield from _condition(condition, now)
    if local.waiting_reports:
        yield f"  {local.waiting_reports} reports wait for the backend; none is lost"
        if local.undelivered:
            yield f"    why: {local.undelivered}"
    yield from _services(local.status.services)


def _headline(local: LocalStatus, now: datetime) -> str:
    ready = local.condition("Ready")
    if local.is_stale(now):
        return "unknown: the last pass is too old to count"
    words = {"True": "ready", "False": "not ready", "Unknown": "unknown"}
    return f"{words[ready.status]} ({ready.reason})" if ready else "unknown"


def _freshness(local: LocalStatus, last_pass: datetime, now: datetime) -> Iterator[str]:
    agent = f"agent runs (pid {local.agent_pid})" if local.agent_pid else "no agent runs"
    yield f"  last pass {_ago(now - last_pass)} ago; {agent}"
    if local.is_stale(now):
        yield "  what to do: " + ("look at the agent's log" if local.agent_pid else "start it: towline-puller run")


def _revision(status: Status) -> str:
    if status.accepted_revision is None:
        return "none accepted"
    applied = f"{status.applied_revision} applied" if status.applied_revision else "none applied"
    return f"{status.accepted_revision} accepted, {applied} ({status.sync})"


def _condition(condition: Condition, now: datetime) -> Iterator[str]:
    told = f": {condition.message}" if condition.message else ""
    word = {"Ready": "Not ready"}.get(condition.type, condition.type)
    since = f"{condition.since:%Y-%m-%d %H:%M:%S} UTC ({_ago(now - condition.since)})"
    yield f"  {word} since {since}: {condition.reason}{told}"
    advice = ADVICE.get(condition.reason)
    if advice:
        yield f"    what to do: {advice}"


def _services(services: Sequence[ServiceStatus]) -> Iterator[str]:
    rows = [("service", "kind", "wanted", "seen", "health", "")]
    for service in services:
        seen = service.observation.state if service.observation else "not looked at"
        wanted = f"{service.desired_state} {service.desired_version}" if service.desired_state else "(left alone)"
        drift = "; ".join(change.reason for change in service.changes) or service.message
        rows.append((service.name, service.kind, wanted, seen, service.health, drift))
    if not services:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row, edited in zip(rows, [(), *map(_drift, services)], strict=True):
        cells = [text.ljust(width) for text, width in zip(row[:5], widths, strict=True)]
        yield "  ".join(["", *cells, row[5]]).rstrip()
        yield from (f"      {line}" for line in edited)


def _drift(service: ServiceStatus) -> tuple[str, ...]:
    """What was edited by hand, where that is more than its change says."""
    told = service.observation.drift if service.observation else ()
    return told if len(told) > SHOWN_DRIFT else ()


def _ago(span: timedelta) -> str:
    seconds = max(0, int(span.total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
