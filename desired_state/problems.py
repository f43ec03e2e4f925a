"""Everything that is wrong with a catalogue, at once: who corrects one thing should learn of all.

`problems` judges a catalogue that was decoded (names, bounds and types are right by then). Pointers are RFC 6901, with
names in place of numbers: `/services/cache/parameters/port`. Errors refuse the whole catalogue; warnings are told and
let it pass. Each rule is a function in CHECKS; what concerns one service alone stands in service_problems.py.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC
from functools import cached_property
from ipaddress import ip_address
from typing import TypeVar

import msgspec

from desired_state.catalogue import Catalogue, Entry, Placement, Problem, ServiceEntry
from desired_state.cluster import expanded_service
from desired_state.cluster_problems import cluster_problems
from desired_state.contract import KindMeta
from desired_state.dependencies import cycles
from desired_state.document import MAX_BYTES, SealedSecret
from desired_state.names import AGENT_KIND, HostName, Kind, ServiceName
from desired_state.parameters import with_defaults
from desired_state.placement import HostIndex, on_host
from desired_state.render import NotRenderable
from desired_state.render import service as rendered_service
from desired_state.service_problems import KnownSecrets, did_you_mean, on, pointer, service_problems

E = TypeVar("E", bound=Entry)
ROOM_FOR_THE_REST = 1 << 16
"""Bytes of a document that are not services: host, origin, artifact bases, signatures."""


class Fleet:
    """A catalogue, indexed once for all checks and sorted by name. Where a name is declared twice, one entry counts."""

    def __init__(
        self, catalogue: Catalogue, kinds: Mapping[Kind, KindMeta], secrets: KnownSecrets | None = None
    ) -> None:
        self.catalogue = catalogue
        self.kinds = kinds
        self.secrets = secrets
        self.hosts = _by_name(catalogue.hosts, lambda host: host.host)
        self.packages = _by_name(catalogue.packages, lambda package: package.name)
        self.services = _by_name(catalogue.services, lambda entry: entry.service)
        self.plain = {
            name: expanded_service(entry, self.hosts, kinds.get(entry.kind)) for name, entry in self.services.items()
        }
        """Services as they are rendered: clusters with what membership fills in."""
        self.index = HostIndex(tuple(self.hosts.values()))

    @cached_property
    def placed(self) -> dict[ServiceName, dict[HostName, ServiceEntry]]:
        """Every service as it shall be on each of its hosts."""
        return {
            name: {host: on_host(entry, host) for host in self.index.selected(entry.placed)}
            for name, entry in self.plain.items()
        }


Check = Callable[[Fleet], Iterator[Problem]]


def problems(
    catalogue: Catalogue, kinds: Mapping[Kind, KindMeta], secrets: KnownSecrets | None = None
) -> list[Problem]:
    """All errors and warnings, sorted by pointer and message: the same whatever order the catalogue is in.

    `secrets` is None where nobody knows which secrets there are.
    """
    fleet = Fleet(catalogue, kinds, secrets)
    found = {problem for check in CHECKS for problem in check(fleet)}
    if not any(problem.severity == "error" for problem in found):
        found |= set(size_fits(fleet))
    return sorted(found)


def names_are_unique(fleet: Fleet) -> Iterator[Problem]:
    """Two declarations of one name contradict each other, whichever comes first."""
    declared: dict[str, list[str]] = {
        "services": [entry.service for entry in fleet.catalogue.services],
        "packages": [package.name for package in fleet.catalogue.packages],
        "hosts": [host.host for host in fleet.catalogue.hosts],
    }
    for section, names in declared.items():
        for name, times in Counter(names).items():
            if times > 1:
                yield Problem(
                    pointer=pointer(section, name),
                    message=f"{section[:-1]} {name!r} is declared {times} times; keep one of them",
                )


def text_is_whole(fleet: Fleet) -> Iterator[Problem]:
    """Text with half a character cannot be written as UTF-8, so no document could be made of it."""
    entries: list[tuple[str, str, Entry]] = [
        *(("services", entry.service, entry) for entry in fleet.catalogue.services),
        *(("packages", package.name, package) for package in fleet.catalogue.packages),
        *(("hosts", host.host, host) for host in fleet.catalogue.hosts),
    ]
    for section, name, entry in entries:
        try:
            msgspec.json.encode(entry)
        except UnicodeEncodeError:
            yield Problem(
                pointer=pointer(section, name),
                message="holds half a character (a lone surrogate) somewhere; write the file as UTF-8 text",
            )


def times_are_times(fleet: Fleet) -> Iterator[Problem]:
    """A moment that UTC has no year for cannot be written."""
    for host in fleet.catalogue.hosts:
        try:
            _ = host.mode_until and host.mode_until.astimezone(UTC)
        except OverflowError:
            yield Problem(
                pointer=pointer("hosts", host.host, "mode_until"), message="is out of the years that UTC counts"
            )


def addresses_are_addresses(fleet: Fleet) -> Iterator[Problem]:
    """What looks like an IP address and is none, nobody can reach."""
    for host in fleet.catalogue.hosts:
        looks_like_one = ":" in host.address or set(host.address) <= set("0123456789.")
        if host.address and looks_like_one and not _is_ip_address(host.address):
            at = pointer("hosts", host.host, "address")
            yield Problem(pointer=at, message=f"{host.address} is no IP address; write a name, or an address in full")


def services_are_right(fleet: Fleet) -> Iterator[Problem]:
    """Kind, version, parameters, packages and purge of each service, on each host it is placed on."""
    for entry in fleet.catalogue.services:
        placed = fleet.placed[entry.service] if fleet.services[entry.service] is entry else {}
        yield from service_problems(entry, placed, fleet.kinds, fleet.packages, fleet.secrets)


def clusters_are_whole(fleet: Fleet) -> Iterator[Problem]:
    """Members, primary and what follows from them."""
    for entry in fleet.services.values():
        yield from cluster_problems(entry, fleet.hosts, fleet.kinds.get(entry.kind))


def placements_match(fleet: Fleet) -> Iterator[Problem]:
    """A service that no host gets is most often a slip of the pen; it may also be waiting for its hosts."""
    for entry in fleet.services.values():
        at = pointer("services", entry.service, "placement")
        if entry.cluster is not None:  # clusters_are_whole speaks of it
            continue
        if entry.placement.all:
            yield from _all_and_more(entry.placement, at)
            continue
        if not entry.placement.hosts and not entry.placement.labels:
            yield _warning(at, "is empty, so no host gets this service; add labels or hosts, or all: true")
            continue
        for number, name in enumerate(entry.placement.hosts):
            if name not in fleet.hosts:
                hint = did_you_mean(name, fleet.hosts)
                yield _warning(f"{at}/hosts/{number}", f"there is no host {name!r}{hint or '; declare it'}")
        if not fleet.placed[entry.service]:
            yield _warning(at, "matches no host, so no host gets this service")


def overrides_are_placed(fleet: Fleet) -> Iterator[Problem]:
    """An override that no host will ever get is one that somebody believes in wrongly."""
    for entry in fleet.services.values():
        for name in entry.overrides:
            at = pointer("services", entry.service, "overrides", name)
            if name not in fleet.hosts:
                hint = did_you_mean(name, fleet.hosts)
                yield Problem(pointer=at, message=f"there is no host {name!r}{hint or '; declare it'}")
            elif name not in fleet.placed[entry.service]:
                yield Problem(
                    pointer=at, message=f"the service is not placed on {name}; place it there, or take this out"
                )


def dependencies_are_there(fleet: Fleet) -> Iterator[Problem]:
    """What a service depends on must be declared, and be on each host where the service is."""
    for entry in fleet.services.values():
        for number, name in enumerate(entry.depends_on):
            at = pointer("services", entry.service, "depends_on", str(number))
            if name not in fleet.services:
                hint = did_you_mean(name, fleet.services)
                yield Problem(pointer=at, message=f"there is no service {name!r}{hint or '; declare it'}")
            else:
                yield from _dependency_problems(fleet, entry.service, name, at)


def dependencies_end(fleet: Fleet) -> Iterator[Problem]:
    """Services that wait for one another would wait for ever."""
    for names in cycles({name: entry.depends_on for name, entry in fleet.services.items()}):
        way = " → ".join((*names, names[0]))
        yield Problem(
            pointer=pointer("services", names[0], "depends_on"), message=f"is a cycle: {way}; take one of them out"
        )


def ports_are_free(fleet: Fleet) -> Iterator[Problem]:
    """Two services of one host that listen on one port: the second would not start."""
    taken: dict[tuple[HostName, str], tuple[ServiceName, str]] = {}
    for name, placed in fleet.placed.items():
        for host, entry in placed.items():
            for parameter, port in _ports(entry, fleet.kinds):
                first = taken.setdefault((host, port), (name, parameter))
                if first != (name, parameter):
                    yield Problem(
                        pointer=pointer("services", name, *_where(fleet.services[name], host, parameter)),
                        message=f"port {port} of {host} is taken by {first[1]} of service {first[0]}; choose another",
                    )


def agents_run(fleet: Fleet) -> Iterator[Problem]:
    """A host has one agent, which carries every order out: it cannot be told to stop or to remove itself."""
    first: dict[HostName, ServiceName] = {}
    for name, placed in fleet.placed.items():
        for host, entry in placed.items() if fleet.services[name].kind == AGENT_KIND else ():
            if entry.state != "running":
                override = fleet.services[name].overrides.get(host)
                where = ("overrides", host) if override is not None and override.state else ()
                yield Problem(
                    pointer=pointer("services", name, *where, "state"),
                    message=f"the agent is not {entry.state} by a document; suspend the host by its mode, or run "
                    "agentctl.sh uninstall on it",
                )
            if first.setdefault(host, name) != name:
                message = f"{host} has an agent already, {first[host]}; place one of the two elsewhere"
                yield Problem(pointer=pointer("services", name, "placement"), message=message)


CHECKS: tuple[Check, ...] = (
    names_are_unique,
    text_is_whole,
    times_are_times,
    addresses_are_addresses,
    services_are_right,
    clusters_are_whole,
    placements_match,
    overrides_are_placed,
    dependencies_are_there,
    dependencies_end,
    ports_are_free,
    agents_run,
)
"""Every rule. Tests take each one out and see what it tells go untold."""


def size_fits(fleet: Fleet) -> Iterator[Problem]:
    """A document beyond the bound would be refused by its host. Only asked of a catalogue without other errors."""
    sizes: dict[HostName, int] = dict.fromkeys(fleet.hosts, ROOM_FOR_THE_REST)
    for name, placed in fleet.placed.items():
        plain = _size(fleet, fleet.plain[name])
        for host, entry in placed.items():
            sizes[host] += plain if entry is fleet.plain[name] else _size(fleet, entry)
    for host, size in sizes.items():
        if size > MAX_BYTES:
            yield Problem(
                pointer=pointer("hosts", host),
                message=f"its document would have about {size} bytes; at most {MAX_BYTES} are read. Shorten the "
                "longest parameters, or place fewer services there",
            )


def _size(fleet: Fleet, entry: ServiceEntry) -> int:
    """Of a service in the text of a document, where it stands four spaces deep."""
    try:
        shown = rendered_service(entry, kinds=fleet.kinds, packages=fleet.packages, sealed=_like_sealed(entry))
        body = msgspec.json.encode(shown)
    except NotRenderable as error:  # no error was found before: then this one was forgotten there
        raise AssertionError(f"problems() overlooked: {error}") from error
    text = msgspec.json.format(body, indent=2)
    return len(text) + 4 * (text.count(b"\n") + 1) + 2


def _like_sealed(entry: ServiceEntry) -> dict[str, SealedSecret]:
    """As long as a password is once it is sealed; the publisher measures the document itself."""
    return {name: SealedSecret(name=name, version=1, sealed="A" * 152) for name in entry.secrets.values()}


def _is_ip_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _all_and_more(placement: Placement, at: str) -> Iterator[Problem]:
    """Who writes a label beside `all` believes that it narrows the placement."""
    for field in ("hosts", "labels"):
        if getattr(placement, field):
            yield Problem(pointer=f"{at}/{field}", message="says nothing beside all: true; take one of the two out")


def _dependency_problems(fleet: Fleet, name: ServiceName, needed: ServiceName, at: str) -> Iterator[Problem]:
    there = fleet.placed[needed]
    hosts = {host for host, entry in fleet.placed[name].items() if entry.state != "absent"}
    missing = sorted(hosts - there.keys())
    absent = sorted(host for host in hosts & there.keys() if there[host].state == "absent")
    if missing:
        yield Problem(pointer=at, message=f"{needed} is not placed on {on(missing)}; place it there too")
    if absent:
        yield Problem(pointer=at, message=f"{needed} is to be absent on {on(absent)}, but {name} needs it there")


def _ports(entry: ServiceEntry, kinds: Mapping[Kind, KindMeta]) -> Iterator[tuple[str, str]]:
    meta = kinds.get(entry.kind)
    if meta is None or entry.state in {"absent", "stopped"}:
        return
    texts = with_defaults(entry.parameters, meta)
    for parameter in meta.ports:
        port = texts.get(parameter, "")
        if port not in {"", "0"}:
            yield parameter, port


def _where(entry: ServiceEntry, host: HostName, parameter: str) -> tuple[str, ...]:
    override = entry.overrides.get(host)
    if override is not None and parameter in override.parameters:
        return ("overrides", host, "parameters", parameter)
    return ("parameters", parameter)


def _by_name(entries: Iterable[E], name_of: Callable[[E], str]) -> dict[str, E]:
    """Sorted; of several entries with one name always the same one, whatever order they come in."""
    found: dict[str, E] = {}
    for entry in entries:
        name = name_of(entry)
        found[name] = min(found[name], entry, key=repr) if name in found else entry
    return dict(sorted(found.items()))


def _warning(at: str, message: str) -> Problem:
    return Problem(pointer=at, message=message, severity="warning")
