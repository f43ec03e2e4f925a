"""Values of parameters: their grammar, their text, and what a script is given."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desired_state.contract import Parameter, ParameterType
from desired_state.document import Value
from desired_state.parameters import as_text, bytes_of, seconds_of, text_problem, value_problem, with_defaults
from tests.core.fleet import REDIS

GOOD: dict[ParameterType, list[Value]] = {
    "int": [0, -5, 2**53],
    "size": ["256mb", "1gb", "0", "12", 1048576, "10K"],
    "bool": [True, False],
    "string": ["a b", "ümläut", "$(reboot)", "a'b\"c`d\\e"],
    "enum": ["one", "two"],
    "port": [1, 65535],
    "path": ["/", "/a/b c", "/..a", "/a..", "/a/...", "/a/./b"],
    "duration": ["30s", "5m", "12h", "7d"],
    "peer": ["db-1.example:3306", "10.0.0.1:1", "[::1]:65535", "h_1:80"],
    "text": ["", "a\nb\tc", "x" * 65536],
}
BAD: dict[ParameterType, list[Value]] = {
    "int": [True, "5", "five", "1.5", "x" * 5000],
    "size": ["", "256 mb", "-1mb", "1.5gb", "mb", "1tb", "256mb\n", True, -1, "٣mb"],
    "bool": ["true", 1, 0, "yes"],
    "string": ["a\nb", "a\tb", "a\x00b", "a\x1bb", "a\x7fb", "a\x85b", "a\u2028b", 5, True],
    "enum": ["three", "One", "one,two", 1, True],
    "port": [0, -1, 65536, "6379", True, False],
    "path": ["a", "./a", "~/a", "/a/../b", "/..", "/a/..", "/a\nb", "/a\x00", 5],
    "duration": ["30", "5 m", "1.5h", "-1s", "1w", "30s\n", 30, True, "٣s"],
    "peer": ["db-1", "db-1:", ":80", "db-1:0", "db-1:65536", "db-1:08", "a b:80", "db-1:80\n", "-a:80", "a/b:80", 80],
    "text": ["a\x00b", "a\x1b[31mb", "a\rb", "\ud800", "x" * 65537, "ü" * 40000, 5, False],
    "secret": ["hunter2", "", 5, True],
}


def parameter(kind: ParameterType, *, required: bool = True, **bounds: int) -> Parameter:
    """A parameter of that type, which must not be empty unless the type allows it."""
    return Parameter(name="p", type=kind, choices=("one", "two"), required=required and kind != "text", **bounds)


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in GOOD.items() for value in values])
def test_good_values_pass(kind: ParameterType, value: Value) -> None:
    """A value within its type's grammar passes."""
    assert "" == value_problem(parameter(kind), value)


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in BAD.items() for value in values])
def test_bad_values_are_told(kind: ParameterType, value: Value) -> None:
    """A value outside its type's grammar is told, in a line that is not longer than one can read."""
    problem = value_problem(parameter(kind), value)
    assert (True, True) == (problem != "", len(problem) < 200)


@pytest.mark.parametrize("kind", [kind for kind in GOOD if kind != "text"])
def test_empty_means_not_given(kind: ParameterType) -> None:
    """The empty text takes an optional value back, whatever its type; a required one must not be empty."""
    problems = [value_problem(parameter(kind, required=required), "") for required in (False, True)]
    assert ["", "must not be empty"] == problems


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("int", 9, 21),
        ("port", 9, 21),
        ("size", "9b", "21b"),
        ("duration", "9s", "21s"),
        ("string", "x" * 9, "x" * 21),
        ("text", "x" * 9, "x" * 21),
    ],
)
def test_bounds_bound(kind: ParameterType, low: Value, high: Value) -> None:
    """`min` and `max` bound numbers, bytes, seconds and lengths."""
    bounded = parameter(kind, min=10, max=20)
    problems = [value_problem(bounded, value) for value in (low, high)]
    assert ["must be at least 10", "must be at most 20"] == [problem[:19].strip("; ") for problem in problems]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1k", 1000),
        ("1kb", 1024),
        ("1m", 10**6),
        ("256mb", 256 << 20),
        ("2g", 2 * 10**9),
        ("2GB", 2 << 30),
        ("x", None),
    ],
)
def test_sizes_mean_bytes(text: str, wanted: int | None) -> None:
    """A size is read as the scripts read it."""
    assert wanted == bytes_of(text)


@pytest.mark.parametrize(
    ("kind", "values"),
    [("int", (10, 20)), ("port", (10, 20)), ("size", ("10b", 20)), ("duration", ("10s", "20s")), ("text", ("x" * 10,))],
)
def test_bounds_are_allowed(kind: ParameterType, values: tuple[Value, ...]) -> None:
    """The bounds themselves are within."""
    assert {""} == {value_problem(parameter(kind, min=10, max=20), value) for value in values}


@pytest.mark.parametrize(("text", "wanted"), [("90s", 90), ("5m", 300), ("2h", 7200), ("1d", 86400), ("1", None)])
def test_durations_mean_seconds(text: str, wanted: int | None) -> None:
    """A duration is read as seconds."""
    assert wanted == seconds_of(text)


@pytest.mark.parametrize(("value", "wanted"), [(True, "true"), (False, "false"), (0, "0"), (-7, "-7"), ("a\n", "a\n")])
def test_text_is_what_the_script_sees(value: Value, wanted: str) -> None:
    """Booleans are words, numbers decimal, and text is untouched."""
    assert wanted == as_text(value)


def test_a_script_is_given_every_parameter() -> None:
    """What is set, the defaults of the rest, and empty where there is none; secrets are not among them."""
    given = with_defaults({"port": 7000, "appendonly": True, "unknown": "kept", "password": "hunter2"}, REDIS)
    wanted = {
        "port": "7000",
        "admin_port": "",
        "databases": "16",
        "maxmemory": "256mb",
        "policy": "noeviction",
        "appendonly": "true",
        "timeout": "0s",
        "bind": "127.0.0.1",
        "folder": "",
        "replica_of": "",
        "extra": "",
        "unknown": "kept",
    }
    assert wanted == given


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([*GOOD, "secret"]), st.text(max_size=30) | st.integers() | st.booleans())
def test_any_value_passes_or_is_told(kind: ParameterType, value: Value) -> None:
    """Any value passes or is told; what passes can stand in an environment variable and on one line of a log."""
    if value_problem(parameter(kind), value) == "":
        text = as_text(value)
        assert "\x00" not in text
        assert kind == "text" or text.splitlines() in ([], [text])
        assert "" == text_problem(value)
