"""Desired beside applied beside observed: what differs is marked, and nothing else is."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from api.services.comparing import Compared, compare, compare_one
from desired_state.contract import Effect
from desired_state.document import Artifact, Document, Origin, Package, Service
from desired_state.names import digest_of
from tests.fakes.host import PaperHost, config_digest

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
CACHE = Service(
    name="cache",
    kind="redis",
    version="8.0.2",
    parameters={"port": 6379, "maxmemory": "256mb"},
    packages={
        "server": Package(name="valkey", version="8.0.2", digest=digest_of(b"valkey"), size=1, file="valkey.tar.gz")
    },
)


def document(*services: Service, revision: int = 1) -> Document:
    """A document with these services."""
    return Document(
        schema="towline.document/1",
        host="h",
        epoch=1,
        revision=revision,
        issued_at=NOW,
        expires_at=NOW,
        origin=Origin(change="c"),
        bundle=Artifact(digest=digest_of(b"b"), size=1, file="b.tar.gz"),
        services=services,
    )


def host(*services: Service) -> PaperHost:
    """A host that is as that document says."""
    paper = PaperHost("h")
    paper.apply(document(*services), digest_of(b"d"), NOW)
    return paper


def compared(paper: PaperHost, *services: Service) -> Compared:
    """The cache, beside what the document with these services wants."""
    wanted = document(*services, revision=2)
    paper.hold(wanted, digest_of(b"e"))
    return compare_one("cache", wanted, paper.status(NOW))


def differing(found: Compared) -> list[str]:
    """The marked fields."""
    return [field.name for field in found.fields if field.differs]


def test_a_host_that_is_as_declared_has_no_marked_field() -> None:
    """Also where the document leaves parameters to the kind's defaults."""
    assert [] == differing(compared(host(CACHE), CACHE))


@pytest.mark.parametrize(
    ("wanted", "fields"),
    [
        ({"version": "8.0.3"}, ["version"]),
        ({"parameters": {"port": 6379, "maxmemory": "512mb"}}, ["parameters.maxmemory"]),
        ({"parameters": {"port": 6379}}, ["parameters.maxmemory"]),
        ({"packages": {}}, ["packages.server"]),
        ({"state": "stopped"}, ["state"]),
        ({"state": "absent"}, ["state"]),
    ],
)
def test_what_somebody_asked_for_is_marked(wanted: dict[str, Any], fields: list[str]) -> None:
    """Desired against applied."""
    assert fields == differing(compared(host(CACHE), replace(CACHE, **wanted)))


@pytest.mark.parametrize(
    ("seen", "fields"),
    [
        ({"state": "stopped", "identity": None}, ["state"]),
        ({"state": "absent"}, ["state"]),
        ({"version": "7.0"}, ["version"]),
        ({"config": config_digest("by hand")}, ["configuration"]),
    ],
)
def test_what_drifted_is_marked(seen: dict[str, Any], fields: list[str]) -> None:
    """Applied against observed."""
    paper = host(CACHE)
    paper.see("cache", **seen)
    assert fields == differing(compared(paper, CACHE))


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "version": st.just("9"),
            "parameters": st.just({"port": 7000}),
            "state": st.sampled_from(("stopped", "absent")),
            "packages": st.just({}),
        },
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "state": st.sampled_from(("stopped", "absent", "degraded")),
            "version": st.just("7"),
            "config": st.just(config_digest("x")),
        },
    ),
)
def test_something_is_marked_whenever_something_is_outstanding(wanted: dict[str, Any], seen: dict[str, Any]) -> None:
    """Whatever the real diff finds, the reader sees where; nobody is told "nothing differs" before a plan."""
    paper = host(CACHE)
    paper.see("cache", **seen)
    found = compared(paper, replace(CACHE, **wanted))
    assert bool(found.changes) <= bool(differing(found))


def test_a_parameter_tells_what_is_known_of_the_file_it_stands_in() -> None:
    """As applied, edited, or waiting for a restart."""
    paper = host(CACHE)
    notes = {}
    for told, change in (
        ("as it was", {}),
        ("edited", {"config": config_digest("by hand")}),
    ):
        paper.see("cache", **change)
        notes[told] = {field.note for field in compared(paper, CACHE).fields if field.name == "parameters.port"}
    waiting = host(CACHE)
    waiting.record["cache"] = replace(waiting.record["cache"], pending=Effect.RESTART)
    notes["waiting"] = {field.note for field in compared(waiting, CACHE).fields if field.name == "parameters.port"}
    assert {"as it was": {"as applied"}, "edited": {"file differs"}, "waiting": {"waits for a restart"}} == notes


def test_what_was_taken_over_is_compared_by_what_it_does() -> None:
    """Nobody installed or configured it here: only its state counts."""
    paper = host(CACHE)
    paper.record["cache"] = replace(paper.record["cache"], adopted=True, packages={}, config="", parameters={})
    assert [] == differing(compared(paper, replace(CACHE, state="adopted")))


def test_what_is_gone_and_shall_be_gone_differs_in_nothing() -> None:
    """A service that was uninstalled has no parameters and no packages, and is not blamed for it."""
    paper = host(CACHE)
    paper.record["cache"] = replace(
        paper.record["cache"], state="absent", parameters={}, packages={}, config="", identity=None
    )
    paper.see("cache", state="absent", version="", config="", identity=None, ports=())
    assert [] == differing(compared(paper, replace(CACHE, state="absent")))


def test_a_service_that_left_the_document_is_shown_and_not_blamed() -> None:
    """Absence is never an order: it is left alone, and said to be."""
    paper = host(CACHE)
    wanted = document(revision=2)
    paper.hold(wanted, digest_of(b"e"))
    (found,) = compare(wanted, paper.status(NOW))
    assert (False, [], "is not in the document: left alone (declare it absent to remove it)") == (
        found.declared,
        differing(found),
        found.message,
    )


def test_a_service_that_was_never_reported_is_shown() -> None:
    """Desired alone, with a word that nothing is known."""
    (found,) = compare(document(CACHE), None)
    assert ("unknown", "unknown", "The host has not reported on it yet.") == (
        found.observed_state,
        found.health,
        found.message,
    )


def test_what_the_document_leaves_to_the_kind_is_by_default() -> None:
    """A parameter that it does not name, with what was applied; not one that it names, nor one that differs."""
    paper = host(CACHE)
    found = compared(paper, replace(CACHE, parameters={**CACHE.parameters, "bind": "::1"}))
    left = {field.name: field.applied for field in found.fields if field.by_default}
    assert {"parameters.maxmemory_policy": "noeviction"} == left
    assert ["parameters.bind"] == differing(found)
