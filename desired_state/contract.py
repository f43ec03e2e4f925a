"""The Python side of the scripts' contract: verbs, exit codes, `meta`. See docs/scripts/contract.md."""

from enum import IntEnum, StrEnum
from typing import Annotated, Literal

from msgspec import Meta as Bound
from msgspec import Struct, field

from desired_state.names import Kind, ParameterName, Role, Text, Version


class Verb(StrEnum):
    """What a script can be asked to do."""

    META = "meta"
    CHECK_STATUS = "check_status"
    DISCOVER = "discover"
    INSTALL = "install"
    CONFIGURE = "configure"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    RELOAD = "reload"
    TAKE_OVER = "take_over"
    RELEASE = "release"
    MONITOR_TRACE = "monitor_trace"
    UNINSTALL = "uninstall"
    PURGE = "purge"


READING = frozenset({Verb.META, Verb.CHECK_STATUS, Verb.DISCOVER})
"""Verbs that change nothing on the host."""
REQUIRED = frozenset(
    {Verb.META, Verb.CHECK_STATUS, Verb.INSTALL, Verb.CONFIGURE, Verb.START, Verb.STOP, Verb.UNINSTALL}
)
"""Verbs that each kind must have."""


class Exit(IntEnum):
    """Exit codes of the OCF resource agents, with their meaning."""

    DONE = 0
    FAILED = 1
    BAD_ARGUMENTS = 2
    NOT_IMPLEMENTED = 3
    PERMISSION = 4
    NOT_INSTALLED = 5
    DOCUMENT_WRONG = 6
    STOPPED = 7
    DEGRADED = 190


class Effect(StrEnum):
    """What a changed parameter needs before it takes hold."""

    NONE = "none"
    RELOAD = "reload"
    RESTART = "restart"


ParameterType = Literal["int", "size", "bool", "string", "enum", "port", "path", "duration", "peer", "text", "secret"]


class Parameter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One parameter of a kind. `min` and `max` bound numbers (bytes for size, seconds for duration) or lengths."""

    name: ParameterName
    type: ParameterType
    default: str | None = None
    required: bool = False
    min: int | None = None
    max: int | None = None
    choices: tuple[str, ...] = ()
    effect: Effect = Effect.RESTART
    help: Text = ""


HeldPath = Annotated[str, Bound(pattern=r"^[A-Za-z0-9_*][A-Za-z0-9._+*-]*(/[A-Za-z0-9_.*+-]+)*$(?!\n)", max_length=200)]


class PackageRole(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A package that a kind installs, by what it is for."""

    role: Role
    required: bool = True
    help: Text = ""
    holds: tuple[tuple[HeldPath, ...], ...] = ()
    """What the archive must hold, where that can be said: of each group one path below its top folder; * any text."""


class VerbMeta(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long one call of a verb may take, in seconds."""

    timeout_s: Annotated[int, Bound(ge=1, le=86400)]


class MetricsPage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A page of metrics that a running service of this kind serves, in the text format of Prometheus."""

    port: ParameterName
    """The parameter whose value is the port of that page."""
    path: Annotated[str, Bound(pattern=r"^/[!-~]*$(?!\n)", max_length=200)] = "/metrics"


ClusterSource = Literal["id", "host", "address", "role", "members", "others", "primary"]
"""What membership of a cluster tells: of this member itself, or of every member, every other one, the primary."""
FORMED = frozenset({"members", "others", "primary"})
"""Those that need a form: how one member is written. `address` may have one, for a port beside it."""


class ClusterParameter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A parameter that membership of a cluster fills in: see cluster.py."""

    parameter: ParameterName
    source: ClusterSource = field(name="from")
    form: Annotated[str, Bound(max_length=200)] = ""
    """One member, as text with `{id}`, `{host}`, `{address}` and any parameter of that member in braces."""


class KindMeta(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a kind's script says of itself: the answer to `meta`."""

    schema: Literal["towline.meta/1"]
    kind: Kind
    summary: Text = ""
    holds_data: bool = False
    versions: tuple[Version, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    packages: tuple[PackageRole, ...] = ()
    ports: tuple[ParameterName, ...] = ()
    metrics: tuple[MetricsPage, ...] = ()
    side_by_side: bool = False
    """Another version is installed beside the one that runs: `install`, `configure`, `restart`, and no stop before."""
    cluster: tuple[ClusterParameter, ...] = ()
    """What membership fills in. Empty: services of this kind form no clusters."""
    monitoring: tuple[Parameter, ...] = ()
    """What a service may say under `monitoring`; `monitor_trace` wires it. See docs/scripts/contract.md."""
    verbs: dict[Verb, VerbMeta] = {}

    @property
    def has_primary(self) -> bool:
        """Whether one member of a cluster of this kind is its primary."""
        return any(line.source in ("primary", "role") for line in self.cluster)

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name, if the kind has it."""
        return next((p for p in self.parameters if p.name == name), None)

    @property
    def required_verbs(self) -> frozenset[Verb]:
        """Verbs that this kind must have."""
        return REQUIRED | {Verb.RESTART} if self.side_by_side else REQUIRED

    def has(self, verb: Verb) -> bool:
        """Whether the kind implements that verb."""
        return verb in self.verbs

    def effect_of(self, name: str) -> Effect:
        """What a change of that parameter needs. One that `meta` does not know needs the most."""
        known = self.parameter(name)
        return known.effect if known else Effect.RESTART


class BundleIndex(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`kinds.json` in a script bundle: what each script in it says of itself, so that nobody need run `meta` again."""

    schema: Literal["towline.bundle/1"] = "towline.bundle/1"
    kinds: dict[Kind, KindMeta]
