"""How values read on the page."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.pages.events import link_to
from api.pages.serving import own_path
from api.pages.wording import ago, exact, machine, millis, name, shares, short, told
from api.services.fleet import Count
from api.services.standing import Word

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "just now"), (1, "just now"), (2, "2 s ago"), (3600, "1 h ago"), (-7200, "in 2 h")]
)
def test_how_long_ago(seconds: int, text: str) -> None:
    """Past and future, in the one unit that fits."""
    assert text == ago(NOW - timedelta(seconds=seconds), NOW)


def test_the_exact_moment_is_utc() -> None:
    """Wherever it was taken."""
    at = datetime(2026, 1, 31, 14, 5, 6, tzinfo=timezone(timedelta(hours=2)))
    assert ("2026-01-31 12:05:06 UTC", "2026-01-31T12:05:06Z") == (exact(at), machine(at))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("sha256:" + "ab" * 32, "abababababab"),
        ("c0ffee" * 7, "c0ffeec0ffee"),
        ("change-12", "change-12"),
        ("", ""),
    ],
)
def test_digests_are_shortened_and_names_are_not(value: str, text: str) -> None:
    """The page has the whole of it where one points at it."""
    assert text == short(value)


@pytest.mark.parametrize(
    ("author", "text"),
    [
        ("Ana Oduya <ana@example.org>", "Ana Oduya"),
        ("<ana@example.org>", "<ana@example.org>"),
        ("token:ops", "ops"),
        ("", "nobody named"),
    ],
)
def test_people_are_called_by_their_names(author: str, text: str) -> None:
    """Without mail address or prefix, as long as something is left."""
    assert text == name(author)


@pytest.mark.parametrize(("value", "text"), [(0, "0 ms"), (999, "999 ms"), (1500, "1.5 s"), (180_000, "3 min")])
def test_durations(value: int, text: str) -> None:
    """In the unit that fits."""
    assert text == millis(value)


@given(st.lists(st.integers(0, 10_000), min_size=len(Word), max_size=len(Word)))
def test_the_bar_holds_every_count_and_nothing_sticks_out(numbers: list[int]) -> None:
    """One piece for each count that is not zero, one after the other, within the bar."""
    pieces = shares([Count(word=word, hosts=hosts) for word, hosts in zip(Word, numbers, strict=True)])
    assert sum(number > 0 for number in numbers) == len(pieces)
    assert all(0 <= x <= 1000 and width > 0 and x + width <= 1002 for x, width, _ in pieces)
    assert [x for x, _, _ in pieces] == sorted(x for x, _, _ in pieces)


def test_counts_in_a_sentence() -> None:
    """What is not there is not told."""
    counts = [Count(word=Word.CONVERGED, hosts=3), Count(word=Word.STALE, hosts=0), Count(word=Word.FAILED, hosts=1)]
    assert ("3 converged, 1 failed", "no hosts") == (told(counts), told([]))


@pytest.mark.parametrize(
    ("subject", "link"),
    [
        ("host/a", "/hosts/a"),
        ("service/b", "/services/b"),
        ("token/x", ""),
        ("host/../x", ""),
        ("host/", ""),
        ("x", ""),
    ],
)
def test_subjects_lead_to_their_pages(subject: str, link: str) -> None:
    """Where they have one."""
    assert link == link_to(subject)


@given(st.text())
def test_nobody_is_sent_elsewhere(path: str) -> None:
    """Whatever stands in `next`, the browser stays with us."""
    assert own_path(path).startswith("/")
    assert not own_path(path).startswith(("//", "/\\"))
