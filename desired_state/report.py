"""What a host says of itself. No secret, no unbounded text, every word from a closed set or bounded.

Read leniently: an agent may be newer than its backend, or older than what wrote the record that it finds (adr/0010).
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from desired_state.change import Change, Intent
from desired_state.contract import Verb
from desired_state.document import Mode, State
from desired_state.names import Digest, Epoch, HostName, Kind, Revision, ServiceName, Text, Timestamp, Version
from desired_state.observed import Observation
from desired_state.record import Recorded
from desired_state.step import Held

ConditionType = Literal["Ready", "Reconciling", "Stalled", "Suspended", "Stale"]
Truth = Literal["True", "False", "Unknown"]
Sync = Literal["synced", "drifted", "behind", "refused", "unknown"]
"""Whether a host is in its newest revision; `drifted`: it was, and is not as it was left."""
HealthWord = Literal["healthy", "degraded", "unhealthy", "unknown"]
StepOutcome = Literal["done", "failed", "skipped", "unknown"]
Reason = Annotated[str, Meta(pattern=r"^[A-Z][A-Za-z]{1,59}$(?!\n)")]
"""CamelCase, from the closed set in outcome.py."""
LogTail = Annotated[str, Meta(max_length=8192)]


class Condition(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One truth about a host, with its reason and since when it holds."""

    type: ConditionType
    status: Truth
    reason: Reason
    message: Text
    since: Timestamp


class StepResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a run, as it ended."""

    id: Digest
    service: ServiceName
    verb: Verb
    intent: Intent
    outcome: StepOutcome
    reasons: tuple[Text, ...] = ()
    exit_code: int | None = None
    changed: bool | None = None
    message: Text = ""
    started_at: Timestamp | None = None
    duration_ms: Annotated[int, Meta(ge=0)] = 0
    repeated: bool = False
    """It was started before and nobody knows how that ended (power was lost)."""
    log: LogTail = ""


class ServiceStatus(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One service: desired beside observed. Absence of `desired` means: not in the document, left alone."""

    name: ServiceName
    kind: Kind
    desired_state: State | None = None
    desired_version: Version | None = None
    health: HealthWord = "unknown"
    observation: Observation | None = None
    recorded: Recorded | None = None
    """What the host applied last, so that a plan made elsewhere starts from the same three sides."""
    changes: tuple[Change, ...] = ()
    """Still outstanding after the pass."""
    message: Text = ""


class Run(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One pass that did something, or tried to."""

    id: Annotated[str, Meta(pattern=r"^[0-9a-z-]{8,64}$(?!\n)")]
    trigger: Literal["schedule", "start", "exit", "document", "request", "retry"]
    started_at: Timestamp
    duration_ms: Annotated[int, Meta(ge=0)]
    steps: tuple[StepResult, ...] = ()


class Status(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a host knows of itself after a pass: four axes (freshness is derived by the reader) and conditions."""

    host: HostName
    sync: Sync
    health: HealthWord
    mode: Mode
    accepted_epoch: Epoch | None = None
    accepted_revision: Revision | None = None
    """The highest revision ever accepted: the ratchet."""
    applied_revision: Revision | None = None
    """The revision that was reached and verified by looking."""
    document_digest: Digest | Literal[""] = ""
    """Of the accepted document's bytes."""
    refused: Text = ""
    """Why the newest bytes from the source were refused; empty when they were not."""
    refused_reason: Reason | Literal[""] = ""
    conditions: tuple[Condition, ...] = ()
    services: tuple[ServiceStatus, ...] = ()
    held: tuple[Held, ...] = ()
    boot_id: str = ""
    address: Annotated[str, Meta(max_length=64)] = ""
    """Where this host's own requests come from, as it sees it: its address towards the backend or the proxy."""
    agent_version: str = ""
    source: Literal["http", "git", "directory", ""] = ""


class Report(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is sent after a pass that changed anything: inserted once by id, ordered by seq."""

    schema: Literal["towline.report/1"]
    id: Digest
    """sha256 over host, seq and run id."""
    host: HostName
    seq: Annotated[int, Meta(ge=1)]
    at: Timestamp
    status: Status
    run: Run | None = None


class Heartbeat(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is sent after a pass that changed nothing: the evidence is fresh, and still the one reported as `seq`."""

    schema: Literal["towline.heartbeat/1"]
    host: HostName
    seq: Annotated[int, Meta(ge=0)]
    """Of the newest report that this host produced."""
    at: Timestamp
    document_digest: Digest | Literal[""] = ""


class Delivery(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of POST /v1/hosts/{name}/reports: reports oldest first, and a heartbeat."""

    reports: Annotated[tuple[Report, ...], Meta(max_length=100)] = ()
    heartbeat: Heartbeat | None = None


class Receipt(Struct, frozen=True, kw_only=True):
    """The backend's answer, after its commit: everything named here is durable."""

    accepted: tuple[Digest, ...]
    newest_seq: Annotated[int, Meta(ge=0)] | None = None
    """Of the newest report that the backend goes by. Another one than the host's own: one of the two was set back."""
    next_delivery_s: int = 0
    """At least so many seconds until the next delivery, when the backend is busy; 0: as you like."""
