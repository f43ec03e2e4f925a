"""What a catalogue would do to a fleet: per host, the very plan that the host itself would make. Pure.

The same `diff` and `plan` run here and on the host, on the same three sides: the document that would be published, the
record and the observations that the host reported last.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from api.plans.rolls import Roll, rolls
from api.publish.issue import HostMode, with_mode
from api.publish.rolls import Side
from api.services.standing import length, silence_limit_s
from desired_state.catalogue import Catalogue, HostEntry, Problem, ServiceEntry
from desired_state.change import Change
from desired_state.cluster import expanded
from desired_state.contract import KindMeta
from desired_state.document import Artifact, Document, Origin, SealedSecret
from desired_state.names import Digest, HostName, Kind, SecretName, SecretVersion
from desired_state.observed import Observation, Observed
from desired_state.placement import on_host, services_by_host
from desired_state.plan import make_plan
from desired_state.record import Record
from desired_state.render import content_digest, issue, render
from desired_state.report import Status
from desired_state.step import Held, Step

_NO_BUNDLE = Artifact(digest="sha256:" + "0" * 64, size=1, file="scripts.tar")
_ORIGIN = Origin(change="plan")


class Known(Struct, frozen=True, kw_only=True):
    """What is known of one host: what is published for it, and what it said last."""

    document: Document | None = None
    content_digest: Digest = ""
    digest: Digest = ""
    """Of the document's bytes."""
    status: Status | None = None
    seen_at: datetime | None = None
    """When it was last heard of."""


class HeldSecrets(Struct, frozen=True, kw_only=True):
    """What the backend holds of secrets. One that is not among them is planned as if it were set for the first time."""

    versions: Mapping[SecretName, SecretVersion] = {}
    enrolled: Collection[HostName] = ()
    """Hosts that secrets can be sealed to."""


class HostPlan(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one host would do."""

    host: HostName
    revision: int | None = None
    """The one that is published; None where nothing is."""
    document_changes: bool = False
    """Whether it would get a new document. If not, what is planned is outstanding already."""
    steps: tuple[Step, ...] = ()
    held: tuple[Held, ...] = ()
    changes: tuple[Change, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def interesting(self) -> bool:
        """Whether there is anything to tell."""
        return self.document_changes or bool(self.steps or self.held)

    @property
    def severity(self) -> tuple[int, int, int]:
        """For sorting: data lost before removals before interruptions before the rest."""
        destroys = sum(step.destroys for step in self.steps)
        return -destroys, -sum(step.removes for step in self.steps), -sum(step.interrupts for step in self.steps)


class FleetPlan(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a catalogue would do, or everything that is wrong with it."""

    problems: tuple[Problem, ...] = ()
    hosts: tuple[HostPlan, ...] = ()
    """Those with something to tell; removals and restarts first."""
    unchanged: int = 0
    leaving: tuple[HostName, ...] = ()
    """Hosts that have a document and are not declared any more: nothing happens to them."""
    remarks: tuple[str, ...] = ()
    rolls: tuple[Roll, ...] = ()
    """Changes of clusters: in which order members get them."""

    @property
    def refused(self) -> bool:
        """Whether the catalogue would be refused; then there is no plan."""
        return any(problem.severity == "error" for problem in self.problems)

    @property
    def changes(self) -> bool:
        """Whether anything would happen anywhere."""
        return bool(self.hosts or self.leaving)


def plan_fleet(
    catalogue: Catalogue,
    kinds: Mapping[Kind, KindMeta],
    known: Mapping[HostName, Known],
    modes: Mapping[HostName, HostMode],
    *,
    secrets: HeldSecrets,
    now: datetime,
) -> FleetPlan:
    """The plan of every host of a catalogue that has no errors."""
    placed = services_by_host(expanded(catalogue, kinds))
    plans: list[HostPlan] = []
    sides: dict[HostName, Side] = {}
    for host in catalogue.hosts:
        made, sides[host.host] = _plan_host(
            with_mode(host, modes.get(host.host), now)[0],
            catalogue,
            kinds,
            services=placed.get(host.host, ()),
            known=known.get(host.host, Known()),
            secrets=secrets,
            now=now,
        )
        plans.append(made)
    told = [plan for plan in plans if plan.interesting]
    declared = {host.host for host in catalogue.hosts}
    return FleetPlan(
        hosts=tuple(sorted(told, key=lambda plan: (plan.severity, plan.host))),
        unchanged=len(plans) - len(told),
        leaving=tuple(sorted(host for host, one in known.items() if one.document and host not in declared)),
        rolls=rolls(catalogue, kinds, sides),
    )


def _plan_host(
    host: HostEntry,
    catalogue: Catalogue,
    kinds: Mapping[Kind, KindMeta],
    *,
    services: Sequence[ServiceEntry],
    known: Known,
    secrets: HeldSecrets,
    now: datetime,
) -> tuple[HostPlan, Side]:
    before = known.document
    names = {name for entry in services for name in on_host(entry, host.host).secrets.values()}
    content = render(
        catalogue,
        host,
        kinds=kinds,
        # a new script bundle reaches every host alike: that is told once, not as a change of each
        bundle=before.bundle if before else _NO_BUNDLE,
        artifact_bases=before.artifact_bases if before else (),
        origin=_ORIGIN,
        services=services,
        sealed=_as_sealed(names, before, secrets),
    )
    revision = before.revision if before else None
    document = issue(
        content, epoch=before.epoch if before else 1, revision=(revision or 0) + 1, issued_at=now, expires_at=now
    )
    plan = make_plan(document, _record(known.status), _observed(document, known.status, now), kinds)
    made = HostPlan(
        host=host.host,
        revision=revision,
        document_changes=before is None or content_digest(content) != known.content_digest,
        steps=plan.steps,
        held=plan.held,
        changes=plan.changes,
        remarks=(*_sealing_remarks(host, names, secrets), *_remarks(document, known, now)),
    )
    silent_s = (now - known.seen_at).total_seconds() if known.seen_at else 0
    side = Side(
        content=content,
        document=before,
        digest=known.digest,
        status=known.status,
        spoke=known.status is not None,
        fresh=abs(silent_s) <= silence_limit_s(host.poll_interval_s),
    )
    return made, side


def _as_sealed(
    names: Collection[SecretName], before: Document | None, secrets: HeldSecrets
) -> dict[SecretName, SealedSecret]:
    """As the published document has them where that is the newest version; of others the version is all that counts."""
    published = {s.name: s for service in before.services for s in service.secrets.values()} if before else {}
    sealed = {}
    for name in names:
        version = secrets.versions.get(name, 1)
        there = published.get(name)
        same = there is not None and there.version == version
        sealed[name] = there if there and same else SealedSecret(name=name, version=version, sealed="")
    return sealed


def _sealing_remarks(host: HostEntry, names: Collection[SecretName], secrets: HeldSecrets) -> tuple[str, ...]:
    if not names or host.host in secrets.enrolled:
        return ()
    return ("is not enrolled: nothing can be sealed to it, so it gets this document as soon as it is",)


def _record(status: Status | None) -> Record:
    services = status.services if status else ()
    return {service.name: service.recorded for service in services if service.recorded is not None}


def _observed(document: Document, status: Status | None, now: datetime) -> Observed:
    """What the host saw. Of what it was never told about, nothing is there; what it could not look at stays unknown."""
    told = {service.name: service.observation for service in status.services} if status else {}
    found: Observed = {}
    for service in document.services:
        if service.name not in told:
            found[service.name] = Observation(service=service.name, state="absent", seen_at=now)
        elif (seen := told[service.name]) is not None:
            found[service.name] = seen
    return found


def _remarks(document: Document, known: Known, now: datetime) -> tuple[str, ...]:
    return tuple(
        remark
        for remark in (
            _mode_remark(document),
            _report_remark(document, known, now),
            _behind_remark(known),
            *_dropped_remarks(document, known),
        )
        if remark
    )


def _mode_remark(document: Document) -> str:
    if document.mode == "suspended":
        return f"is suspended ({document.mode_reason or 'no reason given'}): nothing is done until it is resumed"
    return "is in audit mode: it tells what differs and changes nothing" if document.mode == "audit" else ""


def _report_remark(document: Document, known: Known, now: datetime) -> str:
    if known.status is None or known.seen_at is None:
        return "has not reported yet: planned as if nothing were there"
    silent = int((now - known.seen_at).total_seconds())
    if silent > silence_limit_s(document.poll_interval_s):
        return f"has been silent for {length(silent)}: what it said last may be out of date"
    return ""


def _behind_remark(known: Known) -> str:
    document, status = known.document, known.status
    if document is None or status is None or status.applied_revision == document.revision:
        return ""
    return f"has not applied the published revision {document.revision} yet: what that asks for is among the steps"


def _dropped_remarks(document: Document, known: Known) -> list[str]:
    before = {service.name: service for service in known.document.services} if known.document else {}
    gone = sorted(before.keys() - {service.name for service in document.services})
    return [
        f"{name} is not declared for it any more and is left as it is; to remove it, declare it absent"
        for name in gone
        if before[name].state != "absent"
    ]
