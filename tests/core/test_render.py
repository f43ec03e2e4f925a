"""Rendering: what a host's document says, and that nothing but the catalogue's meaning decides it."""

import random
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from desired_state import document
from desired_state.catalogue import Catalogue, HostEntry, Override, Placement, ServiceEntry, selects
from desired_state.document import Document, Health, Limits, Origin, Package, SealedSecret, Service
from desired_state.placement import HostIndex, services_by_host
from desired_state.problems import problems
from desired_state.render import Content, NotRenderable, content_digest, issue, render
from tests.core.fleet import (
    APP_1,
    APP_2,
    BUNDLE,
    CACHE,
    DB_1,
    GOOD,
    KINDS,
    ORDERS,
    ORIGIN,
    PACKAGES,
    SEALED,
    package,
    with_service,
)

ISSUED = datetime(2026, 3, 1, 12, tzinfo=UTC)


def content_of(catalogue: Catalogue, host: HostEntry = APP_1, origin: Origin = ORIGIN) -> Content:
    """What that host shall be."""
    return render(
        catalogue,
        host,
        kinds=KINDS,
        bundle=BUNDLE,
        artifact_bases=("https://files.example",),
        origin=origin,
        sealed=SEALED,
    )


def document_of(content: Content) -> Document:
    """Its document."""
    return issue(content, epoch=1, revision=3, issued_at=ISSUED, expires_at=ISSUED + timedelta(days=90))


def test_a_document_says_what_was_declared() -> None:
    """The services placed on a host stand in its document, by name, with packages resolved and nothing filled in."""
    host = replace(APP_1, mode="audit", mode_reason="trial", poll_interval_s=30, limits=Limits(removals=5))
    wanted = Document(
        schema="towline.document/1",
        host="app-1",
        epoch=1,
        revision=3,
        issued_at=ISSUED,
        expires_at=ISSUED + timedelta(days=90),
        origin=ORIGIN,
        bundle=BUNDLE,
        artifact_bases=("https://files.example",),
        poll_interval_s=30,
        mode="audit",
        mode_reason="trial",
        limits=Limits(removals=5),
        services=(
            Service(
                name="cache",
                kind="redis",
                version="7.2.5",
                parameters={"port": 6380, "maxmemory": "64mb"},
                packages={"server": _package("valkey", "7.2.5", 1)},
            ),
            Service(
                name="orders",
                kind="java",
                version="1.4.0",
                parameters={"port": 8080},
                secrets={"license": SealedSecret(name="orders-license", version=3, sealed="c2VhbGVk")},
                packages={"app": _package("orders", "1.4.0", 2), "jdk": _package("jdk", "21", 3)},
                depends_on=("cache",),
            ),
        ),
    )
    assert wanted == document_of(content_of(GOOD, host))


def _package(name: str, version: str, number: int) -> Package:
    return Package(
        name=name, version=version, digest=f"sha256:{number:064x}", size=1000 + number, file=f"{name}.tar.gz"
    )


def test_an_override_is_merged_key_by_key() -> None:
    """An override changes what it names on its host, and leaves the rest."""
    override = Override(
        version="7.2.6", state="stopped", parameters={"maxmemory": "1gb"}, packages={"modules": "jdk-21"}
    )
    changed = with_service(CACHE, overrides={"app-2": override})
    wanted = Service(
        name="cache",
        kind="redis",
        version="7.2.6",
        state="stopped",
        parameters={"port": 6380, "maxmemory": "1gb"},
        packages={"server": _package("valkey", "7.2.5", 1), "modules": _package("jdk", "21", 3)},
    )
    assert (wanted,) == content_of(changed, APP_2).services


def test_an_override_leaves_what_it_does_not_name() -> None:
    """An override of one parameter leaves version, state and packages."""
    first = content_of(GOOD, APP_2).services[0]
    assert ("7.2.5", "running", "128mb", 6380, ["server"]) == (
        first.version,
        first.state,
        first.parameters["maxmemory"],
        first.parameters["port"],
        list(first.packages),
    )


def test_an_override_is_for_its_host_only() -> None:
    """Other hosts do not see an override."""
    changed = with_service(CACHE, overrides={"app-2": Override(state="stopped")})
    assert content_of(GOOD).services == content_of(changed).services


def test_a_host_without_services_has_a_document() -> None:
    """A host that nothing is placed on still has a document."""
    assert () == content_of(GOOD, DB_1).services


def test_everything_about_a_service_arrives() -> None:
    """Purge, health, monitoring and dependencies stand in the document; dependencies once, by name."""
    entry = replace(
        CACHE,
        state="absent",
        purge=True,
        health=Health(interval_s=5),
        monitoring={"scrape": True},
        depends_on=("orders", "cache-b", "orders"),
    )
    catalogue = replace(GOOD, services=(entry, ORDERS, replace(CACHE, service="cache-b")))
    first = content_of(catalogue).services[0]
    assert (True, Health(interval_s=5), {"scrape": True}, ("cache-b", "orders")) == (
        first.purge,
        first.health,
        first.monitoring,
        first.depends_on,
    )


def test_order_means_nothing() -> None:
    """The same catalogue in another order gives the same bytes."""
    dice = random.Random(3)
    many = replace(
        GOOD,
        services=tuple(replace(CACHE, service=f"cache-{n}", parameters={"port": 7000 + n}) for n in range(20)),
        packages=(*PACKAGES, package("extra", "1", 5)),
    )
    wanted = document.encode(document_of(content_of(many)))
    for _ in range(5):
        shuffled = Catalogue(
            services=tuple(
                replace(entry, parameters=dict(reversed(entry.parameters.items())))
                for entry in dice.sample(many.services, 20)
            ),
            packages=tuple(dice.sample(many.packages, 4)),
            hosts=tuple(dice.sample(many.hosts, 3)),
        )
        assert wanted == document.encode(document_of(content_of(shuffled)))


def test_another_origin_is_the_same_content() -> None:
    """A change of the catalogue that does not touch a host leaves its content digest."""
    other = content_of(GOOD, origin=Origin(change="change-2", author="Bert", summary="Other"))
    assert content_digest(content_of(GOOD)) == content_digest(other)


CHANGES = {
    "parameter": (with_service(CACHE, parameters={"port": 6381, "maxmemory": "64mb"}), APP_1),
    "true is not 1": (with_service(CACHE, monitoring={"a": True}), APP_1),
    "package": (replace(GOOD, packages=(package("valkey", "7.2.5", 9), *PACKAGES[1:])), APP_1),
    "mode": (GOOD, replace(APP_1, mode="audit")),
    "reason": (GOOD, replace(APP_1, mode_reason="x")),
    "until": (GOOD, replace(APP_1, mode_until=ISSUED)),
    "interval": (GOOD, replace(APP_1, poll_interval_s=61)),
    "limits": (GOOD, replace(APP_1, limits=Limits(parallel=1))),
    "another host": (GOOD, replace(APP_1, host="app-9")),
    "service": (replace(GOOD, services=(CACHE,)), APP_1),
}


@pytest.mark.parametrize(("catalogue", "host"), CHANGES.values(), ids=CHANGES.keys())
def test_what_a_host_shall_do_decides_the_digest(catalogue: Catalogue, host: HostEntry) -> None:
    """Whatever changes what a host shall be changes the content digest."""
    assert content_digest(content_of(GOOD)) != content_digest(content_of(catalogue, host))


def test_true_and_one_are_two_contents() -> None:
    """The number 1 and `true`, equal in Python, are not the same content."""
    digests = {content_digest(content_of(with_service(CACHE, monitoring={"a": value}))) for value in (True, 1, "1")}
    assert 3 == len(digests)


def test_a_labels_change_alone_is_no_change() -> None:
    """A label that places nothing else leaves the content digest."""
    labelled = replace(APP_1, labels={**APP_1.labels, "rack": "7"}, description="moved")
    assert content_digest(content_of(GOOD)) == content_digest(content_of(GOOD, labelled))


def test_another_version_of_a_secret_is_another_content() -> None:
    """So is the same one sealed anew: a host that was enrolled anew could not open the old one."""
    contents = [content_of(GOOD)] + [
        render(
            GOOD,
            APP_1,
            kinds=KINDS,
            bundle=BUNDLE,
            artifact_bases=("https://files.example",),
            origin=ORIGIN,
            sealed={"orders-license": replace(SEALED["orders-license"], **changed)},
        )
        for changed in ({"version": 4}, {"sealed": "YW5ldw=="})
    ]
    assert 3 == len({content_digest(content) for content in contents})


def test_times_are_utc_and_whole_seconds() -> None:
    """Times of a document are written in UTC and whole seconds, whatever clock they came from."""
    there = timezone(timedelta(hours=8))
    moment = datetime(2026, 3, 1, 20, 0, 0, 999_999, tzinfo=there)
    made = issue(
        content_of(GOOD, replace(APP_1, mode_until=moment)), epoch=1, revision=1, issued_at=moment, expires_at=moment
    )
    assert {"2026-03-01T12:00:00+00:00"} == {
        time.isoformat() for time in (made.issued_at, made.expires_at, made.mode_until) if time
    }


@pytest.mark.parametrize(
    "catalogue",
    [
        with_service(CACHE, parameters={"password": "hunter2"}),
        with_service(CACHE, packages={"server": "none-1"}),
        with_service(CACHE, kind="none"),
        with_service(CACHE, purge=True),
        with_service(CACHE, secrets={"password": "nobody-set-it"}),
        with_service(CACHE, secrets={"port": "orders-license"}),
    ],
)
def test_what_problems_tells_is_not_rendered(catalogue: Catalogue) -> None:
    """A secret in clear, a secret, package or kind that is not there, or purge of what stays is never rendered."""
    with pytest.raises(NotRenderable, match="service cache") as caught:
        content_of(catalogue)
    assert "hunter2" not in str(caught.value)


HOSTS = st.lists(
    st.builds(
        HostEntry,
        host=st.sampled_from(["a", "b", "c", "d"]),
        labels=st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from(["1", "2", ""])),
    ),
    unique_by=lambda host: host.host,
    max_size=4,
).map(tuple)
PLACEMENTS = st.builds(
    Placement,
    all=st.booleans(),
    hosts=st.lists(st.sampled_from(["a", "b", "z"]), max_size=3).map(tuple),
    labels=st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from(["1", "2", ""])),
)
VALUES = st.one_of(
    st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=20), st.sampled_from(["1mb", "5m", "/a", "h:1"])
)
PARAMETERS = st.dictionaries(st.sampled_from([p.name for p in KINDS["redis"].parameters]), VALUES, max_size=2)
SERVICES = st.lists(
    st.builds(
        ServiceEntry,
        service=st.sampled_from(["s", "t", "u"]),
        kind=st.just("redis"),
        version=st.sampled_from(["6.0", "7.2", "8"]),
        state=st.sampled_from(["running", "stopped", "absent", "adopted"]),
        purge=st.booleans(),
        description=st.text(max_size=5),
        parameters=PARAMETERS,
        secrets=st.dictionaries(st.sampled_from(["password", "port"]), st.just("orders-license"), max_size=1),
        packages=st.sampled_from([{"server": "valkey-7.2.5"}, {"server": "none"}, {}]),
        placement=PLACEMENTS,
        depends_on=st.lists(st.sampled_from(["s", "t"]), max_size=2).map(tuple),
        overrides=st.dictionaries(st.sampled_from(["a", "b"]), st.builds(Override, parameters=PARAMETERS), max_size=1),
        monitoring=st.dictionaries(st.sampled_from(["m"]), VALUES),
    ),
    max_size=3,
    unique_by=lambda entry: entry.service,
).map(tuple)


@settings(max_examples=150, deadline=None)
@given(SERVICES, HOSTS)
def test_a_catalogue_without_errors_renders(services: tuple[ServiceEntry, ...], hosts: tuple[HostEntry, ...]) -> None:
    """Whatever has no error renders on every host, to a document that reads back as itself, in any order."""
    catalogue = Catalogue(services=services, packages=PACKAGES, hosts=hosts)
    assume(not any(problem.severity == "error" for problem in problems(catalogue, KINDS)))
    backwards = Catalogue(services=services[::-1], packages=PACKAGES[::-1], hosts=hosts[::-1])
    for host in hosts:
        made = document_of(content_of(catalogue, host))
        data = document.encode(made)
        assert made == document.decode(data)
        assert data == document.encode(document_of(content_of(backwards, host)))


@settings(max_examples=150, deadline=None)
@given(SERVICES, HOSTS)
def test_the_index_places_as_asking_does(services: tuple[ServiceEntry, ...], hosts: tuple[HostEntry, ...]) -> None:
    """Looking placements up in the index gives the hosts that each placement selects, and the same documents."""
    catalogue = Catalogue(services=services, packages=PACKAGES, hosts=hosts)
    index = HostIndex(hosts)
    asked = {s.service: tuple(sorted(h.host for h in hosts if selects(s.placement, h))) for s in services}
    assert asked == {s.service: index.selected(s.placement) for s in services}
    by_host = services_by_host(catalogue)
    assert {h.host: tuple(s.service for s in by_host[h.host]) for h in hosts} == {
        h.host: tuple(sorted(name for name, there in asked.items() if h.host in there)) for h in hosts
    }


@pytest.mark.parametrize("services", [services_by_host(GOOD)["app-1"], (CACHE,), ()])
def test_services_may_be_handed_in(services: tuple[ServiceEntry, ...]) -> None:
    """Services that are handed in are those of the document: the index's are those that asking would give."""
    made = render(
        GOOD, APP_1, kinds=KINDS, bundle=BUNDLE, artifact_bases=(), origin=ORIGIN, services=services, sealed=SEALED
    )
    assert content_of(GOOD).services[: len(services)] == made.services
