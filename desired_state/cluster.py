"""From the members of a cluster to plain parameters: each host's document tells its role and its peers.

A kind says in its `meta` (`cluster`) which of its parameters membership fills in. `expanded` turns a service with
`cluster` into one that is placed on named hosts, with an override for each: whatever renders, plans or judges services
needs know nothing of clusters, and neither does the host. Made of the catalogue alone, so the same input gives the same
bytes; a host is reached under the address of its entry, else under its name.

Total: a service that cannot be expanded is left as it is. `cluster_problems` tells why, and `render` refuses it.
"""

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from desired_state.catalogue import Catalogue, Cluster, HostEntry, Override, ServiceEntry
from desired_state.contract import ClusterParameter, KindMeta, Parameter
from desired_state.document import Service, Value
from desired_state.names import HostName, Kind, ParameterName
from desired_state.parameters import with_defaults
from desired_state.placement import on_host

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
OWN_PLACEHOLDERS = frozenset({"id", "host", "address"})
"""Of a member itself; every other one is a parameter."""
_ADDRESS_AND_PORT = "{address}:"


class Formed(Struct, frozen=True, kw_only=True):
    """One member, with all that a form may ask of it."""

    id: int
    host: HostName
    address: str
    leaves: bool
    """It shall be absent: the others know it no more."""
    parameters: Mapping[ParameterName, str]


def expanded(catalogue: Catalogue, kinds: Mapping[Kind, KindMeta]) -> Catalogue:
    """The catalogue with plain services in place of clusters."""
    if all(entry.cluster is None for entry in catalogue.services):
        return catalogue
    hosts = {host.host: host for host in catalogue.hosts}
    services = tuple(expanded_service(entry, hosts, kinds.get(entry.kind)) for entry in catalogue.services)
    return replace(catalogue, services=services)


def expanded_service(entry: ServiceEntry, hosts: Mapping[HostName, HostEntry], meta: KindMeta | None) -> ServiceEntry:
    """One service with plain parameters for each member; as it is where that cannot be."""
    cluster = entry.cluster
    if cluster is None or meta is None or not _can_be(cluster, hosts, meta):
        return entry
    members = formed(entry, cluster, hosts, meta)
    overrides = dict(entry.overrides)
    for host in members:
        before = overrides.get(host, Override())
        filled = filled_in(host, members, cluster, meta)
        overrides[host] = replace(before, parameters={**before.parameters, **filled})
    return replace(entry, cluster=None, placement=entry.placed, overrides=overrides)


def formed(
    entry: ServiceEntry, cluster: Cluster, hosts: Mapping[HostName, HostEntry], meta: KindMeta
) -> dict[HostName, Formed]:
    """The members in the order of their numbers."""
    return {
        host: Formed(
            id=member.id,
            host=host,
            address=hosts[host].address or host,
            leaves=(there := on_host(entry, host)).state == "absent",
            parameters=with_defaults(there.parameters, meta),
        )
        for host, member in sorted(cluster.members.items(), key=lambda pair: (pair[1].id, pair[0]))
    }


def filled_in(
    host: HostName, members: Mapping[HostName, Formed], cluster: Cluster, meta: KindMeta
) -> dict[ParameterName, Value]:
    """What membership says to one member. What comes out as the default is left out, as if nobody had said it."""
    found: dict[ParameterName, Value] = {}
    for line in meta.cluster:
        parameter = meta.parameter(line.parameter)
        text = _text(line, host, members, cluster)
        if parameter is not None and text != (parameter.default or ""):
            found[line.parameter] = value_of(parameter, text)
    return found


def leads(service: Service, meta: KindMeta) -> bool:
    """Whether a service, as its document has it, is the primary of its cluster."""
    told = with_defaults(service.parameters, meta)
    by_source = {line.source: told.get(line.parameter, "") for line in meta.cluster}
    return by_source.get("role", "primary") == "primary" and by_source.get("primary", "") == ""


def in_form(form: str, member: Formed) -> str:
    """One member, written in that form. An IPv6 address gets brackets where a port follows it."""
    own = {"id": str(member.id), "host": member.host, "address": member.address}
    if ":" in member.address:
        form = form.replace(_ADDRESS_AND_PORT, f"[{member.address}]:")
    return PLACEHOLDER.sub(lambda found: {**member.parameters, **own}.get(found[1], ""), form)


def placeholders(form: str) -> Iterator[str]:
    """What a form asks of a member, in its order."""
    return (found[1] for found in PLACEHOLDER.finditer(form))


def value_of(parameter: Parameter, text: str) -> Value:
    """A text as a catalogue would write it; what is no such value stays text, and is told as that."""
    if parameter.type in ("int", "port") and text.removeprefix("-").isdecimal():
        return int(text)
    if parameter.type == "bool" and text in ("true", "false"):
        return text == "true"
    return text


def _can_be(cluster: Cluster, hosts: Mapping[HostName, HostEntry], meta: KindMeta) -> bool:
    known = bool(meta.cluster) and cluster.members.keys() <= hosts.keys()
    return known and (not meta.has_primary or cluster.primary in cluster.members)


def _text(line: ClusterParameter, host: HostName, members: Mapping[HostName, Formed], cluster: Cluster) -> str:
    me = members[host]
    match line.source:
        case "id":
            return str(me.id)
        case "host":
            return me.host
        case "address":
            return in_form(line.form or "{address}", me)
        case "role":
            return "primary" if host == cluster.primary else "replica"
        case "primary":
            return "" if host == cluster.primary else in_form(line.form, members[cluster.primary or host])
    told = [one for one in members.values() if not one.leaves and (line.source == "members" or one.host != host)]
    return ",".join(in_form(line.form, one) for one in told)
