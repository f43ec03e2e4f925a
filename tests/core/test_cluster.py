"""Clusters: declared once, plain parameters in each member's document."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from desired_state.catalogue import Catalogue, Cluster, HostEntry, Member, Override, Placement, ServiceEntry
from desired_state.cluster import expanded_service
from desired_state.contract import ClusterParameter
from desired_state.document import Service
from desired_state.meta_problems import meta_problems
from desired_state.problems import problems
from desired_state.render import NotRenderable, render
from tests.core.clusters import CLUSTER, HOSTS, KINDS, LINES, QUEUE, QUORUM, catalogue
from tests.core.fleet import BUNDLE, CACHE, ORIGIN


def told(declared: Catalogue) -> list[tuple[str, str]]:
    """Every problem as pointer and message."""
    return [(p.pointer.removeprefix("/services/queue"), p.message) for p in problems(declared, KINDS)]


def on(host: str, declared: Catalogue) -> Service | None:
    """The service on that host, as its document writes it."""
    entry = next(entry for entry in declared.hosts if entry.host == host)
    content = render(declared, entry, kinds=KINDS, bundle=BUNDLE, artifact_bases=(), origin=ORIGIN)
    return next((service for service in content.services if service.name == "queue"), None)


def filled(host: str, declared: Catalogue) -> dict[str, Any]:
    """Its parameters."""
    service = on(host, declared)
    assert service is not None
    return service.parameters


def test_a_good_cluster_has_no_problems() -> None:
    """It needs no placement."""
    assert [] == told(catalogue())


def test_each_member_is_told_its_role_and_its_peers() -> None:
    """Addresses are those of the host entries, else names; parameters are those of the member that is spoken of."""
    assert {
        "node_id": 2,
        "voters": "1@10.0.0.1:7000,2@b:7001,3@[fd00::3]:7000",
        "seeds": "a:7000,c:7000",
        "leader": "10.0.0.1:6379",
        "role": "replica",
        "advertised": "b",
        "name": "b",
        "peer_port": 7001,
    } == filled("b", catalogue())


def test_the_primary_follows_nobody() -> None:
    """What comes out as the default is left out, as if nobody had said it."""
    assert {"leader", "role"}.isdisjoint(filled("a", catalogue()))


def test_an_address_alone_has_no_brackets() -> None:
    """Only a port behind it asks for them."""
    assert "fd00::3" == filled("c", catalogue())["advertised"]


def test_an_address_may_have_its_own_port_beside_it() -> None:
    """What a member tells its clients to call."""
    lines = tuple(one for one in LINES if one.parameter != "advertised")
    formed = ClusterParameter(parameter="advertised", source="address", form="{address}:{peer_port}")
    kind = replace(QUORUM, cluster=(*lines, formed))
    service = expanded_service(QUEUE, {host.host: host for host in HOSTS}, kind)
    assert ["b:7001", "[fd00::3]:7000"] == [service.overrides[host].parameters["advertised"] for host in ("b", "c")]


def test_other_hosts_get_nothing() -> None:
    """Membership is the placement."""
    assert None is on("d", catalogue())


def test_who_is_to_be_absent_is_no_peer() -> None:
    """The others know it no more, though it is still told to go."""
    declared = catalogue(overrides={"c": Override(state="absent")})
    there = on("c", declared)
    assert there is not None
    assert ("1@10.0.0.1:7000,2@b:7000", "absent") == (filled("a", declared)["voters"], there.state)


def test_an_id_never_shifts() -> None:
    """When a member goes, those that stay are who they were."""
    fewer = replace(CLUSTER, members={"a": Member(id=1), "c": Member(id=3)})
    assert 3 == filled("c", catalogue(cluster=fewer))["node_id"]


def member(**ids: int) -> Cluster:
    """A cluster of these members, with the first one as its primary."""
    return Cluster(members={host: Member(id=number) for host, number in ids.items()}, primary=next(iter(ids)))


WRONG: dict[str, tuple[Catalogue, list[tuple[str, str]]]] = {
    "placement beside it": (
        catalogue(placement=Placement(hosts=("a",))),
        [("/placement", "says nothing beside cluster, whose members are its hosts; take one of the two out")],
    ),
    "a kind that forms none": (
        Catalogue(services=(replace(CACHE, service="queue", placement=Placement(), overrides={}, cluster=member(a=1)),),
                  hosts=HOSTS, packages=catalogue().packages),
        [("/cluster", "services of kind redis form no cluster: its script has no CLUSTER lines; use placement")],
    ),
    "no members": (
        catalogue(cluster=Cluster(members={}), overrides={}),
        [("/cluster/members", "is empty; name the hosts of the cluster")],
    ),
    "double ids": (
        catalogue(cluster=member(a=1, b=2, c=1)),
        [("/cluster/members/c/id", "id 1 is that of a already; every member has its own")],
    ),
    "unknown host": (
        catalogue(cluster=member(a=1, b=2, bb=3)),
        [("/cluster/members/bb", "there is no host 'bb'; did you mean 'b'?")],
    ),
    "no primary": (
        catalogue(cluster=replace(CLUSTER, primary=None)),
        [("/cluster/primary", "is required: one member of a cluster of kind quorum is its primary")],
    ),
    "a primary that is no member": (
        catalogue(cluster=replace(CLUSTER, primary="d")),
        [("/cluster/primary", "'d' is no member of the cluster; members are a, b, c")],
    ),
    "a primary that goes": (
        catalogue(overrides={"a": Override(state="absent")}),
        [("/cluster/primary", "a shall be absent, and the others would follow it; name another member")],
    ),
    "a primary where there is none": (
        catalogue(kind="flat"),
        [("/cluster/primary", "clusters of kind flat have no primary; take it out")],
    ),
    "set by hand": (
        catalogue(parameters={"voters": "1@x:1"}, overrides={"b": Override(parameters={"node_id": 7})}),
        [
            ("/overrides/b/parameters/node_id", "'node_id' follows from the members of the cluster; take it out"),
            ("/parameters/voters", "'voters' follows from the members of the cluster; take it out"),
        ],
    ),
    "a number out of bounds": (
        catalogue(cluster=member(a=0, b=2, c=3)),
        [("/cluster/members/a", "makes a wrong 'node_id': it must be at least 1; it is 0")],
    ),
    "a member that nobody finds": (
        catalogue(overrides={"b": Override(parameters={"peer_port": ""})}),
        [("/cluster/members/b", "has no 'peer_port', by which the other members find it; give it one")],
    ),
    "everything that goes": (catalogue(state="absent"), []),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_cluster_is_told_at_its_field(name: str) -> None:
    """Everything, at once, and nothing that only follows from it."""
    declared, wanted = WRONG[name]
    assert wanted == told(declared)


def test_several_things_are_told_at_once() -> None:
    """Who corrects one thing learns of all."""
    cluster = Cluster(members={"a": Member(id=1), "b": Member(id=1), "x": Member(id=2)}, primary="y")
    fields = [field for field, _ in told(catalogue(cluster=cluster, placement=Placement(all=True)))]
    assert ["/cluster/members/b/id", "/cluster/members/x", "/cluster/primary", "/placement"] == fields


def test_a_cluster_with_an_error_is_not_rendered() -> None:
    """Nothing half right is ever signed."""
    with pytest.raises(NotRenderable, match="its cluster has an error"):
        on("a", catalogue(cluster=replace(CLUSTER, primary="d")))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"parameter": "none"}, "cluster parameter none: is no parameter of this kind"),
        ({"parameter": "password"}, "cluster parameter password: is a secret, which membership cannot fill in"),
        ({"source": "host", "form": "{id}"}, "from host has no form; only address, members, others, primary have"),
        ({"source": "others"}, "cluster parameter advertised: from others needs a form"),
        ({"source": "others", "form": "{Host}"}, "its form '{Host}' has a brace that belongs to no placeholder"),
        ({"source": "others", "form": "{hots}"}, "its form asks for {hots}, which is no id, host, address, or"),
        ({"source": "others", "form": "{password}"}, "its form asks for {password}, which is no id, host, address, or"),
        ({"source": "others", "form": "{node_id}"}, "its form asks for {node_id}, which is no id, host, address, or"),
        ({"parameter": "node_id"}, "has cluster lines twice: node_id"),
    ],
)  # fmt: skip
def test_a_line_of_a_kind_must_hold_together(line: dict[str, str], said: str) -> None:
    """The lines name parameters of the kind, and forms ask for what every member has."""
    wrong = ClusterParameter(**{"parameter": "advertised", "source": "address", **line})  # type: ignore[arg-type]
    lines = tuple(one for one in LINES if one.parameter != "advertised")
    assert any(said in problem for problem in meta_problems(replace(QUORUM, cluster=(*lines, wrong)), "quorum"))


def test_the_lines_that_the_tests_use_hold_together() -> None:
    """Else the test above would show nothing."""
    assert () == meta_problems(QUORUM, "quorum")


MEMBERS = st.dictionaries(
    st.sampled_from([host.host for host in HOSTS] + ["x"]), st.builds(Member, id=st.integers(0, 5))
)
CLUSTERS = st.builds(Cluster, members=MEMBERS, primary=st.sampled_from([None, "a", "b", "x"]), rolling=st.booleans())
OVERRIDES = st.dictionaries(
    st.sampled_from("abc"),
    st.builds(
        Override,
        state=st.sampled_from([None, "absent", "stopped"]),
        parameters=st.dictionaries(st.sampled_from(["port", "peer_port", "voters"]), st.sampled_from([1, ""])),
    ),
    max_size=2,
)  # fmt: skip
ENTRIES = st.builds(
    replace,
    st.just(QUEUE),
    cluster=CLUSTERS,
    kind=st.sampled_from(["quorum", "flat", "redis"]),
    overrides=OVERRIDES,
    state=st.sampled_from(["running", "absent"]),
)


@settings(max_examples=300, deadline=None)
@given(ENTRIES, st.randoms(use_true_random=False))
def test_a_cluster_without_errors_renders(entry: ServiceEntry, order: random.Random) -> None:
    """On every host, whatever order hosts and members come in; one with errors on none of its members."""
    declared = catalogue(entry)
    right = not any(problem.severity == "error" for problem in problems(declared, KINDS))
    assert entry.cluster is not None
    members = order.sample(sorted(entry.cluster.members.items()), len(entry.cluster.members))
    hosts: list[HostEntry] = order.sample(HOSTS, len(HOSTS))
    other = catalogue(replace(entry, cluster=replace(entry.cluster, members=dict(members))))
    other = replace(other, hosts=tuple(hosts))
    for host in HOSTS if right else ():
        there = on(host.host, declared)
        assert there == on(host.host, other)
        assert (there is not None) == (host.host in entry.cluster.members)
