"""kinds.json as a host reads it: leniently, because a newer towline may have written it."""

from typing import Any

import msgspec
import pytest

from desired_state.bundle_index import read_index
from desired_state.contract import BundleIndex, ClusterParameter, Effect, MetricsPage, Verb
from tests.fakes.kinds import KINDS

META: dict[str, Any] = {
    "schema": "towline.meta/1",
    "kind": "toy",
    "parameters": [{"name": "port", "type": "port", "default": "1"}],
    "packages": [{"role": "server"}],
    "metrics": [{"port": "port", "path": "/metrics"}],
    "cluster": [{"parameter": "port", "from": "members", "form": "{host}"}],
    "verbs": {"install": {"timeout_s": 5}},
}


def index_of(**kinds: Any) -> bytes:
    """The bytes of an index."""
    return msgspec.json.encode({"schema": "towline.bundle/1", "kinds": kinds})


def read(**changes: Any) -> Any:
    """What is read of one kind whose meta has these fields too."""
    return read_index(index_of(toy={**META, **changes})).index.kinds["toy"]


def test_what_this_version_writes_it_reads() -> None:
    """Nothing is lost on the way, and nothing is left out."""
    whole = BundleIndex(kinds=KINDS)
    assert (whole, {}) == ((known := read_index(msgspec.json.encode(whole))).index, known.unreadable)


@pytest.mark.parametrize(
    "newer",
    [
        {"colour": "blue"},
        {"parameters": [{"name": "port", "type": "port", "default": "1", "unit": "pages"}]},
        {"packages": [{"role": "server", "signed": True, "holds": []}]},
        {"metrics": [{"port": "port", "path": "/metrics", "scheme": "https"}]},
        {"cluster": [{"parameter": "port", "from": "members", "form": "{host}", "separator": ";"}]},
        {"cluster": [*META["cluster"], {"parameter": "port", "from": "rack"}]},
        {"verbs": {"install": {"timeout_s": 5, "memory": "1gb"}}},
        {"verbs": {"install": {"timeout_s": 5}, "defragment": {"timeout_s": 5}}},
    ],
)
def test_what_a_newer_version_adds_is_passed_over(newer: dict[str, Any]) -> None:
    """The kind reads as if the unknown word were not there."""
    assert read() == read(**newer)


def test_a_type_that_is_not_known_is_text() -> None:
    """Its value is passed to the script as it stands in the document."""
    assert "string" == read(parameters=[{"name": "a", "type": "colour"}]).parameters[0].type


def test_an_effect_that_is_not_known_is_the_strongest() -> None:
    """Rather a restart too many than a change that never takes hold."""
    assert Effect.RESTART == read(parameters=[{"name": "a", "type": "int", "effect": "nap"}]).parameters[0].effect


def test_what_is_known_is_kept() -> None:
    """Fields that this version knows are what they were."""
    meta = read(side_by_side=True)
    assert (True, (MetricsPage(port="port"),), {Verb.INSTALL}) == (meta.side_by_side, meta.metrics, {*meta.verbs})
    assert (ClusterParameter(parameter="port", source="members", form="{host}"),) == meta.cluster


@pytest.mark.parametrize(
    "meta",
    [
        {**META, "kind": "odd", "schema": "towline.meta/2"},
        {**META, "kind": "other"},
        {**META, "kind": "odd", "verbs": {"install": {"timeout_s": "soon"}}},
        {**META, "kind": "odd", "parameters": "none"},
        [],
        3,
    ],
)
def test_a_kind_that_cannot_be_read_costs_only_itself(meta: Any) -> None:
    """The others are there; why it is not is told."""
    known = read_index(index_of(toy=META, odd=meta))
    assert ({"toy"}, {"odd"}) == ({*known.index.kinds}, {*known.unreadable})


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b'{"kinds": {}}',
        b'{"schema": "towline.bundle/2", "kinds": {}}',
        index_of(toy={**META, "schema": "towline.meta/2"}),
        index_of(**{"../etc": {**META, "kind": "../etc"}}),
        b"\xff",
    ],
)
def test_what_is_no_index_is_refused(data: bytes) -> None:
    """Another schema, other bytes, and one of which nothing can be read."""
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        read_index(data)
