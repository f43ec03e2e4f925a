"""What is wrong with a cluster of the catalogue: with its members, its primary, and what they fill in."""

from collections.abc import Iterator, Mapping

from desired_state.catalogue import Cluster, HostEntry, Placement, Problem, ServiceEntry
from desired_state.cluster import OWN_PLACEHOLDERS, Formed, filled_in, formed, placeholders
from desired_state.contract import KindMeta
from desired_state.names import HostName
from desired_state.parameters import value_problem
from desired_state.service_problems import did_you_mean, on, pointer


def cluster_problems(
    entry: ServiceEntry, hosts: Mapping[HostName, HostEntry], meta: KindMeta | None
) -> Iterator[Problem]:
    """Every problem of a service's cluster; none where it has none. An unknown kind is told elsewhere."""
    cluster = entry.cluster
    if cluster is None:
        return
    if entry.placement != Placement():
        message = "says nothing beside cluster, whose members are its hosts; take one of the two out"
        yield Problem(pointer=_at(entry, "placement"), message=message)
    if not cluster.members:
        yield Problem(pointer=_at(entry, "cluster", "members"), message="is empty; name the hosts of the cluster")
        return
    unknown = [name for name in cluster.members if name not in hosts]
    for name in unknown:
        hint = did_you_mean(name, hosts) or "; declare it"
        yield Problem(pointer=_at(entry, "cluster", "members", name), message=f"there is no host {name!r}{hint}")
    yield from _double_ids(entry, cluster)
    if meta is None:
        return
    if not meta.cluster:
        message = f"services of kind {meta.kind} form no cluster: its script has no CLUSTER lines; use placement"
        yield Problem(pointer=_at(entry, "cluster"), message=message)
        return
    yield from _primary(entry, cluster, meta)
    yield from _set_by_hand(entry, meta)
    if not unknown and (not meta.has_primary or cluster.primary in cluster.members):
        yield from _filled_in(entry, cluster, hosts, meta)


def _double_ids(entry: ServiceEntry, cluster: Cluster) -> Iterator[Problem]:
    first: dict[int, HostName] = {}
    for host, member in sorted(cluster.members.items()):
        if first.setdefault(member.id, host) != host:
            message = f"id {member.id} is that of {first[member.id]} already; every member has its own"
            yield Problem(pointer=_at(entry, "cluster", "members", host, "id"), message=message)


def _primary(entry: ServiceEntry, cluster: Cluster, meta: KindMeta) -> Iterator[Problem]:
    at = _at(entry, "cluster", "primary")
    if not meta.has_primary:
        if cluster.primary is not None:
            yield Problem(pointer=at, message=f"clusters of kind {meta.kind} have no primary; take it out")
    elif cluster.primary is None:
        message = f"is required: one member of a cluster of kind {meta.kind} is its primary"
        yield Problem(pointer=at, message=message)
    elif cluster.primary not in cluster.members:
        hint = did_you_mean(cluster.primary, cluster.members) or f"; members are {on(sorted(cluster.members))}"
        yield Problem(pointer=at, message=f"{cluster.primary!r} is no member of the cluster{hint}")
    elif _state(entry, cluster.primary) == "absent" and any(_state(entry, m) != "absent" for m in cluster.members):
        message = f"{cluster.primary} shall be absent, and the others would follow it; name another member"
        yield Problem(pointer=at, message=message)


def _set_by_hand(entry: ServiceEntry, meta: KindMeta) -> Iterator[Problem]:
    names = {line.parameter for line in meta.cluster}
    sets = [((), entry.parameters), *((("overrides", h), o.parameters) for h, o in entry.overrides.items())]
    for where, values in sets:
        for name in sorted(names & values.keys()):
            message = f"{name!r} follows from the members of the cluster; take it out"
            yield Problem(pointer=_at(entry, *where, "parameters", name), message=message)


def _filled_in(
    entry: ServiceEntry, cluster: Cluster, hosts: Mapping[HostName, HostEntry], meta: KindMeta
) -> Iterator[Problem]:
    """What membership makes of one member must be a value of its parameter, and made of something."""
    members = formed(entry, cluster, hosts, meta)
    asked = {name for line in meta.cluster for name in placeholders(line.form)} - OWN_PLACEHOLDERS
    for host, member in members.items():
        at = _at(entry, "cluster", "members", host)
        yield from _lacking(asked, member, at)
        for name, value in filled_in(host, members, cluster, meta).items():
            parameter = meta.parameter(name)
            problem = value_problem(parameter, value) if parameter else ""
            if problem:
                yield Problem(pointer=at, message=f"makes a wrong {name!r}: it {problem}")


def _lacking(asked: set[str], member: Formed, at: str) -> Iterator[Problem]:
    for name in sorted(asked):
        if not member.leaves and not member.parameters.get(name):
            yield Problem(pointer=at, message=f"has no {name!r}, by which the other members find it; give it one")


def _state(entry: ServiceEntry, host: HostName) -> str:
    override = entry.overrides.get(host)
    return (override.state if override else None) or entry.state


def _at(entry: ServiceEntry, *parts: str) -> str:
    return pointer("services", entry.service, *parts)
