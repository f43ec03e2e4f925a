"""What is wrong with a catalogue: everything, at once, in one order."""

import random
from typing import Any

import pytest
from msgspec.structs import replace

from desired_state import problems as module
from desired_state.catalogue import Catalogue, Override, Problem
from desired_state.contract import Effect, Parameter
from desired_state.problems import problems
from desired_state.service_problems import KnownSecrets, supported
from tests.core import worlds
from tests.core.fleet import APP_1, APP_2, CACHE, DB_1, GOOD, KINDS, PACKAGES, with_service
from tests.core.problem_cases import CASES

WITH_AGENT = {**KINDS, "agent": worlds.kind("agent", side_by_side=True)}


def told(catalogue: Catalogue) -> list[tuple[str, str, str]]:
    """Every problem as pointer, severity and message."""
    return [(p.pointer, p.severity, p.message) for p in problems(catalogue, WITH_AGENT)]


def test_a_good_catalogue_has_no_problems() -> None:
    """A catalogue without a fault is told nothing."""
    assert [] == told(GOOD)


def test_an_empty_catalogue_has_no_problems() -> None:
    """Nor is an empty one."""
    assert [] == told(Catalogue())


@pytest.mark.parametrize(("catalogue", "wanted"), CASES.values(), ids=CASES.keys())
def test_each_problem_is_told(catalogue: Catalogue, wanted: list[tuple[str, str, str]]) -> None:
    """One fault gives one problem (or the few that belong to it), with its place and what to do, and no other."""
    assert wanted == told(catalogue)


def test_all_problems_are_told_at_once() -> None:
    """A catalogue with many faults is told all of them, in one order, whatever order it is in."""
    parts = [catalogue for name, (catalogue, _) in CASES.items() if "service" not in name]
    services = tuple(
        replace(entry, service=f"{entry.service}-{number}")
        for number, catalogue in enumerate(parts)
        for entry in catalogue.services
    )
    many = Catalogue(services=services, packages=PACKAGES * 2, hosts=(APP_1, APP_2, DB_1, replace(DB_1, labels={})))
    first = problems(many, KINDS)
    dice = random.Random(7)
    for _ in range(5):
        shuffled = Catalogue(
            services=_shuffled(dice, many.services),
            packages=_shuffled(dice, many.packages),
            hosts=_shuffled(dice, many.hosts),
        )
        assert first == problems(shuffled, KINDS)
    assert (True, sorted(first)) == (len(first) > 60, first)


def _shuffled(dice: random.Random, items: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dice.sample(items, len(items)))


def test_a_document_beyond_the_bound_is_told() -> None:
    """More text than a document may hold is a problem of the host, told before anything is signed."""
    services = tuple(
        replace(CACHE, service=f"cache-{n}", parameters={"port": 7000 + n, "extra": "x"}, overrides={}, monitoring=big)
        for n, big in enumerate([{f"m{i}": "y" * 60_000 for i in range(4)}] * 5)
    )
    values = tuple(Parameter(name=f"m{i}", type="text", effect=Effect.NONE) for i in range(4))
    kinds = {**KINDS, "redis": replace(KINDS["redis"], monitoring=values)}
    found = problems(replace(GOOD, services=services, hosts=(APP_1,)), kinds)
    assert [("/hosts/app-1", "error")] == [(p.pointer, p.severity) for p in found]
    assert "at most 1048576 are read" in found[0].message


def test_parameters_together_are_bounded() -> None:
    """All values of a service together fit one environment."""
    texts = {f"p{n}": "x" * 60_000 for n in range(5)}
    kind = replace(KINDS["redis"], parameters=tuple(_text(name) for name in texts))
    catalogue = with_service(CACHE, parameters=texts, overrides={}, depends_on=())
    found = problems(replace(catalogue, services=(catalogue.services[1],)), {"redis": replace(kind, ports=())})
    assert ["/services/cache/parameters"] == [p.pointer for p in found]


def test_parameters_together_are_bounded_where_they_come_together() -> None:
    """Values that only together with a host's override are too many are told, with that host."""
    texts = {f"p{n}": "x" * 60_000 for n in range(6)}
    kind = replace(KINDS["redis"], parameters=tuple(_text(name) for name in texts), ports=())
    half = dict(list(texts.items())[:3])
    entry = replace(CACHE, parameters=half, overrides={"app-2": Override(parameters=texts)})
    found = problems(replace(GOOD, services=(entry,)), {"redis": kind})
    assert [
        (
            "/services/cache/parameters",
            "all parameters together have 360000 bytes on app-2; at most 262144 fit",
        )
    ] == [(p.pointer, p.message) for p in found]


def _text(name: str) -> Any:
    return replace(KINDS["redis"].parameters[10], name=name, max=None)


def test_pointers_are_escaped() -> None:
    """A name with a slash or tilde is escaped as RFC 6901 says."""
    assert "/a/b~1c/~0d" == module.pointer("a", "b/c", "~d")


@pytest.mark.parametrize(
    ("version", "wanted"),
    [("6.0", True), ("6.0.16", True), ("6.01", False), ("6.0-rc1", True), ("16.0", False), ("8u392", True)],
)
def test_versions_are_prefixes(version: str, *, wanted: bool) -> None:
    """A supported version is a prefix that ends where a number ends."""
    assert wanted == supported(version, ("6.0", "8u"))


@pytest.mark.parametrize("check", module.CHECKS, ids=lambda check: check.__name__)
def test_each_check_matters(check: module.Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """With this check taken out, something that should be told goes untold."""
    monkeypatch.setattr(module, "CHECKS", tuple(other for other in module.CHECKS if other is not check))
    monkeypatch.setattr(module, "size_fits", lambda _: ())
    assert [] != [name for name, (catalogue, wanted) in CASES.items() if wanted != told(catalogue)]


def test_problems_are_plain_values() -> None:
    """A problem can be sorted, compared and put in a set."""
    one = Problem(pointer="/a", message="b")
    assert {one} == {Problem(pointer="/a", message="b")}


@pytest.mark.parametrize("severity", ["error", "warning"])
def test_a_secret_that_nobody_set_is_told(severity: str) -> None:
    """Where the backend's secrets are known, each other one is named, with what to do."""
    catalogue = with_service(
        CACHE, secrets={"password": "orders-licence"}, overrides={"app-2": Override(secrets={"password": "other"})}
    )
    known = KnownSecrets(names=frozenset({"orders-license"}), severity=severity)
    found = [(p.pointer, p.severity, p.message) for p in problems(catalogue, KINDS, known)]
    assert found == [
        (
            "/services/cache/overrides/app-2/secrets/password",
            severity,
            "there is no secret 'other'; set it: towline secret set other",
        ),
        (
            "/services/cache/secrets/password",
            severity,
            "there is no secret 'orders-licence'; did you mean 'orders-license'?",
        ),
    ]
