"""Desired beside applied beside observed, field by field: the three-way difference as a person reads it. Pure."""

from collections.abc import Iterator

from msgspec import Struct

from desired_state.change import Change
from desired_state.contract import Effect
from desired_state.diff import UP
from desired_state.document import Document, Service
from desired_state.names import Timestamp
from desired_state.observed import Identity, Observation
from desired_state.parameters import as_text
from desired_state.record import Recorded
from desired_state.report import HealthWord, ServiceStatus, Status


class Field(Struct, frozen=True, kw_only=True):
    """One field of a service, from three sides. Empty text: that side says nothing about it."""

    name: str
    desired: str = ""
    applied: str = ""
    observed: str = ""
    differs: bool = False
    note: str = ""
    """Said in place of an observed value: what no look can see by itself."""
    digest: bool = False
    """The values are digests: shown shortened."""

    @property
    def by_default(self) -> bool:
        """A parameter that the document leaves to its kind, and that is as it was applied."""
        return self.name.startswith("parameters.") and not self.desired and not self.differs


class Compared(Struct, frozen=True, kw_only=True):
    """One service of one host: what it shall be, what was applied last, what is seen."""

    name: str
    kind: str
    declared: bool
    """Whether it is in the document. What is not is left alone."""
    version: str
    desired_state: str
    observed_state: str
    health: HealthWord
    fields: tuple[Field, ...]
    changes: tuple[Change, ...] = ()
    drift: tuple[str, ...] = ()
    """What somebody changed in its configuration by hand, key by key."""
    depends_on: tuple[str, ...] = ()
    message: str = ""
    seen_at: Timestamp | None = None
    probed_at: Timestamp | None = None
    applied_at: Timestamp | None = None
    revision: int | None = None
    """The document that last changed it on the host."""

    @property
    def differences(self) -> int:
        """How many of its fields differ."""
        return sum(field.differs for field in self.fields)


def compare(document: Document | None, status: Status | None) -> tuple[Compared, ...]:
    """Every service that the document declares or the host knows, by name."""
    wanted = {service.name: service for service in document.services} if document else {}
    known = {service.name: service for service in status.services} if status else {}
    return tuple(_service(name, wanted.get(name), known.get(name)) for name in sorted(wanted.keys() | known.keys()))


def compare_one(name: str, document: Document | None, status: Status | None) -> Compared:
    """One service, also where neither side knows it."""
    wanted = next((s for s in document.services if s.name == name), None) if document else None
    known = next((s for s in status.services if s.name == name), None) if status else None
    return _service(name, wanted, known)


def _service(name: str, wanted: Service | None, known: ServiceStatus | None) -> Compared:
    seen = known.observation if known else None
    recorded = known.recorded if known else None
    changes = known.changes if known else ()
    fields = tuple(_fields(wanted, recorded, seen, changes))
    return Compared(
        name=name,
        kind=wanted.kind if wanted else known.kind if known else "",
        declared=wanted is not None,
        version=wanted.version if wanted else recorded.version if recorded else "",
        desired_state=wanted.state if wanted else "",
        observed_state=seen.state if seen else "unknown",
        health=known.health if known else "unknown",
        fields=fields,
        changes=changes,
        drift=seen.drift if seen else (),
        depends_on=wanted.depends_on if wanted else (),
        message=_message(known, seen),
        seen_at=seen.seen_at if seen else None,
        probed_at=seen.probed_at if seen else None,
        applied_at=recorded.applied_at if recorded else None,
        revision=recorded.revision if recorded else None,
    )


def _message(known: ServiceStatus | None, seen: Observation | None) -> str:
    if known is None:
        return "The host has not reported on it yet."
    return known.message or (seen.reason if seen else "")


def _fields(
    wanted: Service | None, recorded: Recorded | None, seen: Observation | None, changes: tuple[Change, ...]
) -> Iterator[Field]:
    told = {_field_of(change) for change in changes}
    yield _state(wanted, recorded, seen, told)
    yield _version(wanted, recorded, seen, told)
    yield from _packages(wanted, recorded, told)
    configuration = _configuration(recorded, seen, told)
    note = _note(configuration, recorded)
    yield from _parameters(wanted, recorded, told, note=note)
    yield from _secrets(wanted, recorded, told, note=note)
    yield configuration
    yield _process(recorded, seen, told)
    yield Field(name="listening ports", observed=_ports(seen))


def _field_of(change: Change) -> str:
    """The field that a change is about, in this page's names."""
    if change.field and change.field not in ("state", "config", "pending"):
        return change.field
    named = {"config": "configuration", "pending": "process", "state": "state"}
    by_aspect = {"presence": "state", "adoption": "state", "kind": "version", "data": "state"}
    return named.get(change.field) or by_aspect.get(change.aspect, change.aspect)


def _state(wanted: Service | None, recorded: Recorded | None, seen: Observation | None, told: set[str]) -> Field:
    shall, is_ = wanted.state if wanted else "", seen.state if seen else ""
    met = not shall or not is_ or is_ == shall or (shall in ("running", "adopted") and is_ in UP)
    applied = recorded.state if recorded else ""
    return Field(name="state", desired=shall, applied=applied, observed=is_, differs=not met or "state" in told)


def _version(wanted: Service | None, recorded: Recorded | None, seen: Observation | None, told: set[str]) -> Field:
    if wanted is not None and wanted.state == "absent":
        return Field(name="version", observed=seen.version if seen else "")
    shall = wanted.version if wanted else ""
    applied, is_ = recorded.version if recorded else "", seen.version if seen else ""
    differs = bool(shall) and any(side and side != shall for side in (applied, is_))
    return Field(name="version", desired=shall, applied=applied, observed=is_, differs=differs or "version" in told)


def _installed(wanted: Service | None, recorded: Recorded | None) -> bool:
    """Whether packages and parameters can be compared: it shall be there, and we put it there.

    What was taken over runs as it was found; what is gone, or shall go, has neither.
    """
    if wanted is None or recorded is None:
        return False
    return wanted.state in ("running", "stopped") and recorded.state != "absent" and not recorded.adopted


def _packages(wanted: Service | None, recorded: Recorded | None, told: set[str]) -> Iterator[Field]:
    shall = {role: package.digest for role, package in wanted.packages.items()} if wanted else {}
    was = dict(recorded.packages) if recorded else {}
    for role in sorted(shall.keys() | was.keys()):
        desired, applied = shall.get(role, ""), was.get(role, "")
        differs = _installed(wanted, recorded) and desired != applied
        name = f"packages.{role}"
        yield Field(name=name, desired=desired, applied=applied, differs=differs or name in told, digest=True)


def _note(configuration: Field, recorded: Recorded | None) -> str:
    """What a parameter is known to be in the files on disk: their digest tells, their text is not read."""
    if recorded is None or not configuration.applied or not configuration.observed:
        return ""
    if configuration.differs:
        return "file differs"
    return f"waits for a {recorded.pending}" if recorded.pending is not Effect.NONE else "as applied"


def _parameters(wanted: Service | None, recorded: Recorded | None, told: set[str], *, note: str) -> Iterator[Field]:
    shall = {name: as_text(value) for name, value in wanted.parameters.items()} if wanted else {}
    was = {name: as_text(value) for name, value in recorded.parameters.items()} if recorded else {}
    for key in sorted(shall.keys() | was.keys()):
        name, desired, applied = f"parameters.{key}", shall.get(key, ""), was.get(key, "")
        # A parameter that the document leaves out has its kind's default: that is no difference.
        differs = key in shall and _installed(wanted, recorded) and desired != applied
        differs = differs or name in told
        yield Field(name=name, desired=desired, applied=applied, differs=differs, note=note if applied else "")


def _secrets(wanted: Service | None, recorded: Recorded | None, told: set[str], *, note: str) -> Iterator[Field]:
    """By name and version: nobody here knows more."""
    shall = {name: f"secret {secret}" for name, secret in wanted.secrets.items()} if wanted else {}
    was = {name: f"secret {secret}" for name, secret in recorded.secrets.items()} if recorded else {}
    for key in sorted(shall.keys() | was.keys()):
        name, desired, applied = f"secrets.{key}", shall.get(key, ""), was.get(key, "")
        differs = (_installed(wanted, recorded) and desired != applied) or name in told
        yield Field(name=name, desired=desired, applied=applied, differs=differs, note=note if applied else "")


def _configuration(recorded: Recorded | None, seen: Observation | None, told: set[str]) -> Field:
    applied, is_ = recorded.config if recorded else "", seen.config if seen else ""
    differs = bool(applied) and bool(is_) and applied != is_
    name = "configuration"
    return Field(name=name, applied=applied, observed=is_, differs=differs or name in told, digest=True)


def _process(recorded: Recorded | None, seen: Observation | None, told: set[str]) -> Field:
    applied, is_ = recorded.identity if recorded else None, seen.identity if seen else None
    nothing = "no process" if seen is not None and seen.state in ("stopped", "absent") else ""
    return Field(name="process", applied=_pid(applied), observed=_pid(is_) or nothing, differs="process" in told)


def _pid(identity: Identity | None) -> str:
    return f"pid {identity.pid}" if identity else ""


def _ports(seen: Observation | None) -> str:
    if seen is None or seen.state == "unknown":
        return ""
    return ", ".join(str(port) for port in seen.ports) or "none"
