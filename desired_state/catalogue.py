"""What people declare: services, hosts, packages. `problems.py` says what is wrong with them together."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from desired_state.document import Health, Limits, Mode, Seconds, State, Url, Value
from desired_state.names import (
    Address,
    Digest,
    FileName,
    HostName,
    Kind,
    LabelKey,
    LabelValue,
    PackageName,
    ParameterName,
    Role,
    SecretName,
    ServiceName,
    Text,
    Timestamp,
    Version,
)


class Placement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which hosts get a service: all, or those named and those that carry all of the labels. Empty: none."""

    all: bool = False
    """Every host of the catalogue, those that will be declared later too. Stands alone: without hosts and labels."""
    hosts: tuple[HostName, ...] = ()
    labels: dict[LabelKey, LabelValue] = {}


class Override(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is different on one host. Parameters, secrets and packages are merged over the service's own, key by key."""

    version: Version | None = None
    state: State | None = None
    parameters: dict[ParameterName, Value] = {}
    secrets: dict[ParameterName, SecretName] = {}
    packages: dict[Role, PackageName] = {}


class Member(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One member of a cluster. Its number is its own for as long as it lives: it never shifts when another one goes."""

    id: Annotated[int, Meta(ge=0, le=2**32 - 1)]


class Cluster(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The hosts that together are one service. Membership is said in full, and stands in place of a placement."""

    members: dict[HostName, Member]
    primary: HostName | None = None
    """The member that the others follow, for kinds that have one."""
    rolling: bool = True
    """A change reaches one member at a time (rolling.py). False: every member at once."""


class ServiceEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One service of the fleet. `packages` names package entries (`<name>-<version>`) by their role, `secrets` the
    secrets of the backend's store by the parameter that each is for."""

    service: ServiceName
    kind: Kind
    version: Version
    state: State = "running"
    purge: bool = False
    description: Text = ""
    parameters: dict[ParameterName, Value] = {}
    secrets: dict[ParameterName, SecretName] = {}
    packages: dict[Role, PackageName] = {}
    placement: Placement = Placement()
    cluster: Cluster | None = None
    depends_on: tuple[ServiceName, ...] = ()
    overrides: dict[HostName, Override] = {}
    health: Health = Health()
    monitoring: dict[ParameterName, Value] = {}

    @property
    def placed(self) -> Placement:
        """Which hosts get it: the members of its cluster, or what its placement says."""
        return self.placement if self.cluster is None else Placement(hosts=tuple(self.cluster.members))


class PackageEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One version of a program: its archive, its digest, and where it can be had. Named `<package>-<version>`."""

    package: PackageName
    version: Version
    file: FileName
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
    size: Annotated[int, Meta(ge=1, le=1 << 40)]
    urls: tuple[Url, ...] = ()

    @property
    def name(self) -> str:
        """How services refer to it."""
        return f"{self.package}-{self.version}"

    @property
    def digest(self) -> Digest:
        """Its digest in the form that documents use."""
        return f"sha256:{self.sha256}"


class HostEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One host: its labels, how often it asks, and what its puller may do."""

    host: HostName
    description: Text = ""
    labels: dict[LabelKey, LabelValue] = {}
    address: Address | Literal[""] = ""
    """Where others reach it: a name, or an IP address. Empty: Prometheus is told the address that its agent reports,
    the members of its clusters its name, because documents are made of nothing that only a running host knows."""
    mode: Mode = "enforce"
    mode_reason: Text = ""
    mode_until: Timestamp | None = None
    poll_interval_s: Seconds = 60
    limits: Limits = Limits()


Entry = ServiceEntry | PackageEntry | HostEntry


class Catalogue(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that is declared, at one moment. Order carries no meaning."""

    services: tuple[ServiceEntry, ...] = ()
    packages: tuple[PackageEntry, ...] = ()
    hosts: tuple[HostEntry, ...] = ()


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True, order=True):
    """One thing that is wrong, where, and what to do. `pointer` is RFC 6901 into the catalogue or the request body."""

    pointer: str
    message: str
    severity: str = "error"
    """`error` refuses the whole; `warning` is told and lets it pass."""
    file: str = ""
    line: int = 0
    """1-based; 0 where no line is known."""


def secrets_of(entry: ServiceEntry) -> frozenset[SecretName]:
    """Every secret that a service names, on whichever host."""
    return frozenset(entry.secrets.values()).union(*(o.secrets.values() for o in entry.overrides.values()))


def selects(placement: Placement, host: HostEntry) -> bool:
    """Whether a placement puts a service on that host."""
    if placement.all or host.host in placement.hosts:
        return True
    return bool(placement.labels) and all(host.labels.get(k) == v for k, v in placement.labels.items())
