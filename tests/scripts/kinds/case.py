"""What the conformance run has to know of a kind: a module of that name beside this one has its CASE."""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct

from tests.middleware import Package
from tests.scripts.calling import Service
from tests.servers.process import free_port


class Software(Struct, frozen=True, kw_only=True):
    """One program in one version, as it can be had."""

    name: str
    version: str
    packages: Callable[[], Mapping[str, Package]]
    layout_only: bool = False
    """Not the real program: an archive with upstream's layout."""
    refuses: str = ""
    """What this one says of the data that the next newer one has left; empty where it takes it."""
    refused_by: str = "the software"
    """Who says that."""
    parameters: Mapping[str, str] = {}
    """Of this version alone, beside those of the case."""
    secrets: Mapping[str, str] | None = None
    """Instead of those of the case."""
    prepare: Callable[[Service], None] = lambda _: None
    """What it needs beside it, in a prefix of its own."""
    first: bool = False
    """The one before it is another program: nothing comes up from there."""
    after: "Software | None" = None
    """What it comes up from, where that is not the one before it."""


class Real(Struct, frozen=True, kw_only=True):
    """How the real software of a kind is asked, changed and trusted with data."""

    software: tuple[Software, ...]
    """Oldest first: each is the upgrade of the one before."""
    probe: Callable[[Service], str]
    """Asks by the software's own client or protocol; what it answered, in words for the table. Raises when it fails."""
    write: Callable[[Service], None] | None = None
    """Leaves data with it."""
    read: Callable[[Service], bool] | None = None
    """Whether that data is there."""
    restarted: Mapping[str, str] = {}
    """Parameters whose change needs a restart."""
    reloaded: Mapping[str, str] = {}
    """Parameters whose change needs a reload."""
    rotated: Mapping[str, str] = {}
    """Secrets whose change needs a reload; the probe proves that the service's are the ones in use."""
    cluster: Callable[[Software, Path], str] | None = None
    """Several of them below that folder: what was seen, in words for the table. Raises when it fails."""
    cost_s: int = 10
    """About how long its run takes, downloads aside: where time is short, the cheap ones are run first."""


class Neighbour(Struct, frozen=True, kw_only=True):
    """A real service of another kind, which services of this one ask."""

    kind: str
    name: str
    version: str
    packages: Callable[[], Mapping[str, Package]]
    parameters: Mapping[str, str]
    """Beside its port."""
    secrets: Mapping[str, str]


class Case(Struct, frozen=True, kw_only=True):
    """Good and bad input of one kind, and where its values arrive."""

    version: str
    packages: Callable[[], Mapping[str, Package]]
    parameters: Callable[[int], Mapping[str, str]]
    """Good parameters for a service on that port."""
    secrets: Mapping[str, str] = {}
    """Good secrets; their text is searched for everywhere."""
    secret_files: frozenset[str] = frozenset()
    """The only files, below the service's folder, that may hold a secret."""
    bad: tuple[tuple[str, str], ...] = ()
    """Parameters that must be refused, each with a value."""
    arrives: Mapping[str, Callable[[Service], str]] = {}
    """Free text: how to read back what the configuration made of it."""
    data: str = "data/kept"
    """A file below the service's folder that uninstall must keep."""
    own_writing: tuple[str, ...] = ("log/",)
    """Folders below the service's where the software itself writes, whether it is asked or not."""
    process: bool = True
    """Whether the service has a process, and a port."""
    real: Real
    """What `nox -s middleware` runs; without any software: proven elsewhere."""
    prepare: Callable[[Service], None] = lambda _: None
    """What a host has before the puller ever calls this kind."""
    asks: Neighbour | None = None
    """For exporters: what `target` names."""
    stays: str = ""
    """Why no document stops or removes it, where that is so: then `stop`, `uninstall` and `purge` are refused, there is
    one per host, `restart` leaves alone what is right already, and by hand the script has commands of its own."""


def has_case(kind: str) -> bool:
    """Whether the kind has a case beside this module."""
    return find_spec(f"tests.scripts.kinds.{kind}") is not None


def has_software(kind: str) -> bool:
    """Whether `nox -s middleware` has something to run for it."""
    return has_case(kind) and bool(case_of(kind).real.software)


def real_service(kind: str, folder: Path, name: str = "one") -> Service:
    """A service of the real software: in the version of the case where it can be had in that, else in the newest."""
    case = case_of(kind)
    software = next((one for one in case.real.software if one.version == case.version), case.real.software[-1])
    return service_of(kind, software, folder, name)


def service_of(kind: str, software: Software, folder: Path, name: str) -> Service:
    """A service of this software, with the parameters of the case and what the software needs beside it."""
    case = case_of(kind)
    service = Service(
        kind=kind,
        name=name,
        folder=folder,
        version=software.version,
        packages=software.packages(),
        parameters={**case.parameters(free_port()), **software.parameters},
        secrets=case.secrets if software.secrets is None else software.secrets,
    )
    software.prepare(service)
    return service


def case_of(kind: str) -> Case:
    """The case of a kind; a kind without one cannot pass."""
    case: Case = import_module(f"tests.scripts.kinds.{kind}").CASE
    return case
