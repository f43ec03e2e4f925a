"""The catalogue as code: what cannot be misread is read, everything else is refused with file, line and field."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from api.as_code.catalogue_files import file_of, read_catalogue, read_entry, write_entry
from api.as_code.yaml_values import MAX_BYTES, read_yaml
from desired_state.catalogue import Cluster, Entry, HostEntry, Member, PackageEntry, Placement, Problem, ServiceEntry

CASES = sorted((Path(__file__).parent / "catalogue_cases").glob("*.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_a_case(case: Path) -> None:
    """Each case is a set of files, and the problems that reading them must find, in order."""
    told = yaml.safe_load(case.read_text(encoding="utf-8"))
    found = read_catalogue({path: text.encode() for path, text in told["files"].items()})
    assert [f"{p.file}:{p.line}: {p.pointer}: {p.message}" for p in found.problems] == told["problems"]
    assert sorted("/".join(key) for key in found.declared) == told.get("declared", [])


def _problems(data: bytes) -> list[tuple[int, str]]:
    return [(problem.line, problem.message) for problem in read_yaml(data).problems]


def test_bytes_that_are_no_text_are_refused() -> None:
    """Not UTF-8, with the line of the first wrong byte."""
    assert _problems(b"host: a\ndescription: \xff\n") == [(2, "is not UTF-8")]


def test_a_file_that_is_too_large_is_not_read() -> None:
    """Nobody writes an entry of a quarter megabyte."""
    assert _problems(b"#" * (MAX_BYTES + 1)) == [(0, f"is {MAX_BYTES + 1} bytes long; a file has at most {MAX_BYTES}")]


@pytest.mark.parametrize("data", [b"[" * 5000, b"a: " + b"{a: " * 200, b"- " * 5000])
def test_endless_nesting_ends(data: bytes) -> None:
    """Deep nesting is refused before it costs anything."""
    assert [message for _, message in _problems(data)] == ["is nested more than 12 levels deep"]


def test_few_lines_do_not_become_gigabytes() -> None:
    """The billion laughs: aliases are refused, not followed."""
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    assert {"aliases are not read; write the value out"} <= {m for _, m in _problems("\n".join(lines).encode())}


_text = st.text(max_size=60)
_labels = st.dictionaries(
    st.sampled_from(["role", "on", "site", "no", "a/b"]), st.sampled_from(["yes", "1", "0x1F", ""])
)
_value = (
    _text
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.sampled_from(["on", "0644", "12:30:45", "1e3", "~", "=", "<<"])
)
_parameters = st.dictionaries(st.from_regex(r"^[a-z][a-z0-9_]{0,20}\Z"), _value, max_size=5)
_entries = st.one_of(
    st.builds(HostEntry, host=st.just("h1"), description=_text, labels=_labels),
    st.builds(
        ServiceEntry,
        service=st.just("cache"),
        kind=st.just("redis"),
        version=st.sampled_from(["7", "7.2", "1e3", "0x10", "2026-01-01", "1_0"]),
        description=_text,
        parameters=_parameters,
        placement=st.builds(Placement, labels=_labels),
        cluster=st.none()
        | st.builds(
            Cluster,
            members=st.dictionaries(
                st.sampled_from(["h1", "on", "1e3"]), st.builds(Member, id=st.integers(0, 2**32 - 1))
            ),
            primary=st.sampled_from([None, "on", "1e3"]),
            rolling=st.booleans(),
        ),
    ),
    st.builds(
        PackageEntry,
        package=st.sampled_from(["redis", "null", "on"]),
        version=st.sampled_from(["7", "7.0"]),
        file=st.sampled_from(["a.tar", "1"]),
        sha256=st.sampled_from(["0" * 64, "1e" + "0" * 62]),
        size=st.integers(1, 1 << 40),
    ),
)


@settings(max_examples=300, deadline=None)
@given(_entries)
def test_what_is_written_is_read_back(entry: Entry) -> None:
    """For every entry: read(write(entry)) is the entry, whatever words its texts look like."""
    found, _, problems = read_entry(file_of(entry), write_entry(entry).encode())
    assert (found, problems) == (entry, [])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet="abc:-?[]{}&*!|>'\"%@#, \n0~<=", max_size=80).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Never an exception; and what was refused gives no value."""
    found = read_yaml(data)
    assert found.value is None or not found.problems


def test_a_problem_of_the_whole_is_told_where_it_was_written() -> None:
    """A pointer into the catalogue becomes file, line and field."""
    files = {
        "catalogue/services/cache.yaml": b"service: cache\nkind: redis\nversion: '7'\nparameters:\n  port: 99999\n",
    }
    found = read_catalogue(files)
    located = found.located(Problem(pointer="/services/cache/parameters/port", message="is too large"))
    assert (located.file, located.line, located.pointer) == ("catalogue/services/cache.yaml", 5, "/parameters/port")
    member = b"service: cache\ncluster:\n  members:\n    a: {id: 1}\n    b:\n      id: 1\nkind: redis\nversion: '9'\n"
    found = read_catalogue({"catalogue/services/cache.yaml": member})
    located = found.located(Problem(pointer="/services/cache/cluster/members/b/id", message="is that of a"))
    assert (located.line, located.pointer) == (6, "/cluster/members/b/id")
    missing = found.located(Problem(pointer="/services/cache/packages/server", message="is missing"))
    assert (missing.line, missing.pointer) == (1, "/packages/server")
