"""A cluster without a fault, and a kind that forms some: each test changes one thing."""

from typing import Any

from msgspec.structs import replace

from desired_state.catalogue import Catalogue, Cluster, HostEntry, Member, Override, ServiceEntry
from desired_state.contract import ClusterParameter, KindMeta, Parameter
from tests.core.fleet import PACKAGES, REDIS, VERBS

LINES = (
    ClusterParameter(parameter="node_id", source="id"),
    ClusterParameter(parameter="voters", source="members", form="{id}@{address}:{peer_port}"),
    ClusterParameter(parameter="seeds", source="others", form="{host}:{peer_port}"),
    ClusterParameter(parameter="leader", source="primary", form="{address}:{port}"),
    ClusterParameter(parameter="role", source="role"),
    ClusterParameter(parameter="advertised", source="address"),
    ClusterParameter(parameter="name", source="host"),
)
QUORUM = KindMeta(
    schema="towline.meta/1",
    kind="quorum",
    parameters=(
        Parameter(name="node_id", type="int", required=True, min=1),
        Parameter(name="voters", type="string", max=100),
        Parameter(name="seeds", type="string"),
        Parameter(name="leader", type="peer"),
        Parameter(name="role", type="enum", default="primary", choices=("primary", "replica")),
        Parameter(name="advertised", type="string"),
        Parameter(name="name", type="string"),
        Parameter(name="port", type="port", default="6379"),
        Parameter(name="peer_port", type="port", default="7000"),
        Parameter(name="password", type="secret"),
    ),
    cluster=LINES,
    verbs=VERBS,
)
FLAT = replace(QUORUM, kind="flat", cluster=LINES[:3])
"""Its clusters have no primary."""
KINDS = {"quorum": QUORUM, "flat": FLAT, "redis": REDIS}
HOSTS = (
    HostEntry(host="a", address="10.0.0.1"),
    HostEntry(host="b"),
    HostEntry(host="c", address="fd00::3"),
    HostEntry(host="d"),
)
CLUSTER = Cluster(members={"b": Member(id=2), "c": Member(id=3), "a": Member(id=1)}, primary="a")
QUEUE = ServiceEntry(
    service="queue",
    kind="quorum",
    version="1.0",
    cluster=CLUSTER,
    overrides={"b": Override(parameters={"peer_port": 7001})},
)


def catalogue(entry: ServiceEntry = QUEUE, *more: ServiceEntry, **changes: Any) -> Catalogue:
    """The hosts, and this service with these changes."""
    return Catalogue(services=(replace(entry, **changes), *more), hosts=HOSTS, packages=PACKAGES)
