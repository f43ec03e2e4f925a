"""Which services a host gets, and what each is there after its override."""

from collections.abc import Iterator

from msgspec.structs import replace

from desired_state.catalogue import Catalogue, HostEntry, Placement, ServiceEntry, selects
from desired_state.names import HostName, LabelKey, LabelValue


def on_host(entry: ServiceEntry, host: HostName) -> ServiceEntry:
    """The service as it shall be on that host: its override merged in, parameters, secrets and packages key by key."""
    override = entry.overrides.get(host)
    if override is None:
        return entry
    return replace(
        entry,
        version=override.version or entry.version,
        state=override.state or entry.state,
        parameters={**entry.parameters, **override.parameters},
        secrets={**entry.secrets, **override.secrets},
        packages={**entry.packages, **override.packages},
    )


def services_of(catalogue: Catalogue, host: HostEntry) -> tuple[ServiceEntry, ...]:
    """The services placed on one host, by name. For many hosts `services_by_host` is quicker."""
    placed = (entry for entry in catalogue.services if selects(entry.placed, host))
    return tuple(sorted(placed, key=lambda entry: entry.service))


def services_by_host(catalogue: Catalogue) -> dict[HostName, tuple[ServiceEntry, ...]]:
    """The services placed on every host, by name: each placement is looked up once, not once per host."""
    index = HostIndex(catalogue.hosts)
    found: dict[HostName, list[ServiceEntry]] = {host.host: [] for host in catalogue.hosts}
    for entry in sorted(catalogue.services, key=lambda entry: entry.service):
        for name in index.selected(entry.placed):
            found[name].append(entry)
    return {name: tuple(services) for name, services in found.items()}


class HostIndex:
    """Hosts by name and by label, for asking many placements."""

    def __init__(self, hosts: tuple[HostEntry, ...]) -> None:
        self.by_name = {host.host: host for host in reversed(hosts)}
        """The first of each name."""
        self._by_label: dict[tuple[LabelKey, LabelValue], set[HostName]] = {}
        for host in self.by_name.values():
            for label in host.labels.items():
                self._by_label.setdefault(label, set()).add(host.host)

    def selected(self, placement: Placement) -> tuple[HostName, ...]:
        """The hosts of a placement, sorted: the same ones that `catalogue.selects` says yes to."""
        if placement.all:
            return tuple(sorted(self.by_name))
        return tuple(sorted(set(self._named(placement)) | self._labelled(placement)))

    def _named(self, placement: Placement) -> Iterator[HostName]:
        return (name for name in placement.hosts if name in self.by_name)

    def _labelled(self, placement: Placement) -> set[HostName]:
        if not placement.labels:
            return set()
        return set.intersection(*(self._by_label.get(label, set()) for label in placement.labels.items()))
