"""Cycles among dependencies: each knot is told once."""

import pytest

from desired_state.dependencies import MOST, cycles


@pytest.mark.parametrize(
    ("depends_on", "wanted"),
    [
        ({}, []),
        ({"a": ["b"], "b": []}, []),
        ({"a": ["x"]}, []),
        ({"a": ["a"]}, [("a",)]),
        ({"b": ["a"], "a": ["b"]}, [("a", "b")]),
        ({"c": ["a"], "b": ["c"], "a": ["b"]}, [("a", "b", "c")]),
        ({"a": ["b"], "b": ["a"], "c": ["d"], "d": ["c"], "e": ["a", "c"]}, [("a", "b"), ("c", "d")]),
        ({"a": ["b", "c"], "b": ["a"], "c": ["c"]}, [("a", "b"), ("c",)]),
    ],
)
def test_each_knot_is_told_once(depends_on: dict[str, list[str]], wanted: list[tuple[str, ...]]) -> None:
    """Every cycle is told from its smallest name, in the direction of depends_on; what only hangs on one is not."""
    assert wanted == cycles(depends_on)


def test_order_does_not_matter() -> None:
    """The same dependencies in another order give the same cycles."""
    depends_on = {"a": ["b", "c"], "b": ["c", "a"], "c": ["a", "b"], "d": ["e"], "e": ["d"]}
    backwards = {name: needed[::-1] for name, needed in reversed(depends_on.items())}
    assert cycles(depends_on) == cycles(backwards)


def test_many_cycles_end() -> None:
    """However many there are, a bounded number is told."""
    assert MOST == len(cycles({f"s{n}": [f"s{n}"] for n in range(MOST + 10)}))


def test_a_long_chain_is_no_cycle() -> None:
    """A chain longer than any stack is looked through."""
    assert [] == cycles({f"s{n}": [f"s{n + 1}"] for n in range(20_000)})
