"""In which order the members of clusters would get a change, as things stand. Pure."""

from collections.abc import Mapping

from msgspec import Struct

from api.publish.rolls import Sides, at_once, in_turn
from desired_state.catalogue import Catalogue
from desired_state.contract import KindMeta
from desired_state.names import HostName, Kind, ServiceName


class Roll(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A change of one cluster."""

    service: ServiceName
    hosts: tuple[HostName, ...]
    """Members that change, in the order of their turns."""
    primary: HostName | None = None
    at_once: str = ""
    """Why all of them get it at once; empty where they get it one after another."""


def rolls(catalogue: Catalogue, kinds: Mapping[Kind, KindMeta], sides: Sides) -> tuple[Roll, ...]:
    """One for each cluster in which something changes."""
    found = []
    for entry in sorted(catalogue.services, key=lambda entry: entry.service):
        cluster = entry.cluster
        if cluster is None:
            continue
        there = {host: sides[host] for host in cluster.members if host in sides}
        order = in_turn(entry, there)
        if order:
            why = at_once(entry, kinds.get(entry.kind), there)
            found.append(Roll(service=entry.service, hosts=order, primary=cluster.primary, at_once=why))
    return tuple(found)
