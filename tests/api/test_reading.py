"""What others wrote is read strictly, and every problem is told at once."""

import pytest

from api.reading import Unreadable, read, read_json
from desired_state.catalogue import HostEntry, Placement, ServiceEntry
from desired_state.names import ServiceName


def _refusal(data: bytes, kind: type = ServiceEntry) -> list[tuple[str, str]]:
    with pytest.raises(Unreadable) as refusal:
        read_json(data, kind, max_bytes=100_000)
    return [(problem.pointer, problem.message) for problem in refusal.value.problems]


def test_a_good_body_is_read_whole() -> None:
    """Nested structs, maps and lists come out as the structs' own types."""
    entry = read_json(
        b'{"service": "a", "kind": "redis", "version": "1", "placement": {"hosts": ["h1"]}, "parameters": {"port": 1}}',
        ServiceEntry,
        max_bytes=1000,
    )
    assert entry == ServiceEntry(
        service="a", kind="redis", version="1", placement=Placement(hosts=("h1",)), parameters={"port": 1}
    )


def test_every_problem_is_told_with_its_pointer() -> None:
    """Wrong names, unknown fields, wrong types, what is missing, at every depth."""
    body = b"""{"service": "Not A Name", "kind": "redis", "colour": 1, "state": "runing",
      "placement": {"hosts": ["ok", "Bad Host"], "label": {}}, "parameters": {"Port": 1.5, "a/b~c": "x"},
      "overrides": {"h1": {"version": 7}}, "depends_on": "other"}"""
    known = (
        "cluster, depends_on, description, health, kind, monitoring, overrides, packages, parameters, placement, purge"
    )
    word = "is not a name: lower-case letters, digits and underscores, a letter first, at most 48"
    service = "is not a service name: lower-case letters, digits and hyphens, a letter first, at most 48"
    host = "is not a host name: lower-case letters, digits and hyphens, dots between labels"
    assert _refusal(body) == [
        ("/service", f'"Not A Name" {service}'),
        ("/colour", f"there is no such field; known here: {known}, secrets, service, state, version"),
        ("/state", '"runing" is not one of running, stopped, absent, adopted'),
        ("/placement/hosts/1", f'"Bad Host" {host}'),
        ("/placement/label", "there is no such field; known here: all, hosts, labels"),
        ("/parameters/Port", f'"Port" {word}'),
        ("/parameters/Port", '1.5 is a number, and text is wanted: put it in quotes, "1.5"'),
        ("/parameters/a~1b~0c", f'"a/b~c" {word}'),
        ("/overrides/h1/version", "7 is not text: put it in quotes"),
        ("/depends_on", "expected `array`, got `str`"),
        ("/version", "is missing"),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": 1, "a": 2}', "is not JSON: the key 'a' stands there twice"),
        (b'{"a": NaN}', "is not JSON: NaN is not a number of JSON"),
        (b"[" * 100_000, "is nested too deeply"),
        (b"", "is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (b" " * 100_001, "is 100001 bytes long; at most 100000 are read"),
        (b"[]", "expected `object`, got `array`"),
    ],
)
def test_what_is_not_one_plain_object_is_refused(data: bytes, message: str) -> None:
    """Duplicate keys, NaN, endless nesting, nothing, too much, another type."""
    assert _refusal(data) == [("", message)]


def test_a_moment_needs_its_zone() -> None:
    """A time without a zone is no moment."""
    assert _refusal(b'{"host": "h", "mode_until": "2026-01-01T00:00:00"}', HostEntry) == [
        ("/mode_until", '"2026-01-01T00:00:00" is not a moment with its zone, like 2026-01-31T12:00:00Z')
    ]


def test_plain_values_are_read_too() -> None:
    """A type that is no struct works at the root."""
    assert read("abc", ServiceName) == "abc"  # type: ignore[arg-type]
