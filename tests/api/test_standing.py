"""Status cannot lie: what "converged" implies, and which word comes first."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from api.services.standing import (
    Facts,
    Published,
    Said,
    Suspension,
    Word,
    is_fresh,
    length,
    silence_limit_s,
    spaced,
    standing,
)

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
DIGESTS = ("sha256:" + "a" * 64, "sha256:" + "b" * 64)

published = st.builds(Published, epoch=st.integers(1, 2), revision=st.integers(1, 3), digest=st.sampled_from(DIGESTS))
suspensions = st.builds(
    Suspension, reason=st.just("kernel work"), until=st.sampled_from((None, NOW - timedelta(1), NOW + timedelta(1)))
)
said = st.builds(
    Said,
    seen_at=st.integers(-4000, 4000).map(lambda s: NOW - timedelta(seconds=s)),
    sync=st.sampled_from(("synced", "synced", "drifted", "behind", "refused", "unknown")),
    health=st.sampled_from(("healthy", "healthy", "degraded", "unhealthy", "unknown")),
    mode=st.sampled_from(("enforce", "enforce", "audit", "suspended")),
    ready=st.sampled_from(("True", "True", "False", "Unknown")),
    stalled=st.sampled_from((False, False, True)),
    differences=st.sampled_from((0, 0, 1)),
    epoch=st.none() | st.integers(1, 2),
    accepted_revision=st.none() | st.integers(1, 3),
    applied_revision=st.none() | st.integers(1, 3),
    digest=st.sampled_from(DIGESTS),
)
facts = st.builds(
    Facts,
    host=st.just("web-1"),
    poll_interval_s=st.sampled_from((10, 60, 900)),
    enrolled=st.booleans(),
    published=st.none() | published,
    said=st.none() | said,
    suspension=st.none() | suspensions,
)

GOOD = Facts(
    host="web-1",
    enrolled=True,
    published=Published(epoch=1, revision=3, digest=DIGESTS[0]),
    said=Said(
        seen_at=NOW - timedelta(seconds=5),
        sync="synced",
        health="healthy",
        mode="enforce",
        ready="True",
        epoch=1,
        accepted_revision=3,
        applied_revision=3,
        digest=DIGESTS[0],
    ),
)


def _with(**fields: object) -> Facts:
    assert GOOD.said is not None
    return replace(GOOD, said=replace(GOOD.said, **fields))


@given(facts)
def test_green_implies_everything(known: Facts) -> None:
    """A host is green only if it said it is ready, on the newest document, verified, fresh, healthy, not suspended."""
    if not standing(known, NOW).green:
        return
    assert known.said is not None
    assert known.published is not None
    assert (
        True,
        known.published.digest,
        known.published.revision,
        known.published.epoch,
        "synced",
        "healthy",
        "True",
        0,
        False,
    ) == (
        is_fresh(known, NOW),
        known.said.digest,
        known.said.applied_revision,
        known.said.epoch,
        known.said.sync,
        known.said.health,
        known.said.ready,
        known.said.differences,
        known.said.stalled,
    )
    assert known.said.mode != "suspended"
    assert known.suspension is None or not known.suspension.holds(NOW)


@given(facts)
def test_every_host_has_a_word_and_a_sentence(known: Facts) -> None:
    """Whatever is known of a host, it has one word, and a sentence that is not empty."""
    found = standing(known, NOW)
    assert found.word in Word
    assert found.sentence


@given(facts, st.integers(0, 10**7))
def test_silence_never_turns_green(known: Facts, later_s: int) -> None:
    """A host that is not green does not become so by saying nothing (unless a suspension or a wrong clock runs out)."""
    if standing(known, NOW).green or (known.said and known.said.seen_at > NOW) or known.suspension:
        return
    assert not standing(known, NOW + timedelta(seconds=later_s)).green


def test_a_good_host_is_converged() -> None:
    """The one way to be green."""
    assert Word.CONVERGED is standing(GOOD, NOW).word


@pytest.mark.parametrize(
    ("known", "word"),
    [
        (Facts(host="web-1"), Word.NEVER_REPORTED),
        (replace(GOOD, said=None), Word.NEVER_REPORTED),
        (replace(GOOD, published=None), Word.CONVERGING),
        (replace(GOOD, suspension=Suspension(reason="x")), Word.SUSPENDED),
        (replace(GOOD, suspension=Suspension(reason="x", until=NOW)), Word.CONVERGED),
        (_with(mode="suspended"), Word.SUSPENDED),
        (_with(mode="audit"), Word.CONVERGED),
        (_with(seen_at=NOW - timedelta(seconds=181)), Word.STALE),
        (_with(seen_at=NOW + timedelta(seconds=181)), Word.STALE),
        (_with(stalled=True), Word.FAILED),
        (_with(sync="refused"), Word.FAILED),
        (_with(sync="behind"), Word.UNKNOWN),
        (_with(applied_revision=2), Word.CONVERGING),
        (_with(digest=DIGESTS[1]), Word.CONVERGING),
        (_with(epoch=2), Word.CONVERGING),
        (_with(differences=1), Word.DRIFTED),
        (_with(differences=1, applied_revision=2), Word.CONVERGING),
        (_with(differences=1, applied_revision=2, ready_reason="Drifted"), Word.DRIFTED),
        (_with(ready="False", ready_reason="Withdrawn", sync="behind", applied_revision=None), Word.SUSPENDED),
        (_with(health="degraded"), Word.UNHEALTHY),
        (_with(health="unknown"), Word.UNHEALTHY),
        (_with(ready="Unknown"), Word.UNKNOWN),
    ],
)
def test_each_fact_takes_the_green_away(known: Facts, word: Word) -> None:
    """Each single fact that is not as it shall be changes the word."""
    assert word is standing(known, NOW).word


@pytest.mark.parametrize(
    ("poll_s", "polls", "limit_s"), [(1, 3, 180), (60, 3, 180), (61, 3, 183), (900, 3, 2700), (60, 5, 300)]
)
def test_silence_limit(poll_s: int, polls: int, limit_s: int) -> None:
    """So many polls, at least three minutes."""
    assert limit_s == silence_limit_s(poll_s, polls)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (60, "1 min"),
        (90, "90 s"),
        (150, "2 min"),
        (3600, "1 h"),
        (7300, "2 h"),
        (86400, "1 d"),
        (10**6, "11 d"),
    ],
)
def test_lengths_in_words(seconds: int, text: str) -> None:
    """A length of time is told in the one unit that fits it."""
    assert text == length(seconds)


def test_reasons_are_told_in_words() -> None:
    """A CamelCase reason becomes words."""
    assert spaced("SignatureUntrusted") == "Signature untrusted"


def test_a_host_that_waits_for_its_cluster_is_not_converged() -> None:
    """All that is published is applied, and not all that is declared is published."""
    digest = DIGESTS[0]
    well = Said(
        seen_at=NOW, sync="synced", health="healthy", mode="enforce", ready="True", epoch=1,
        accepted_revision=1, applied_revision=1, digest=digest,
    )  # fmt: skip
    facts = Facts(host="a", published=Published(epoch=1, revision=1, digest=digest), said=well)
    held = replace(facts, held="queue waits for b")
    assert (Word.CONVERGED, Word.CONVERGING) == (standing(facts, NOW).word, standing(held, NOW).word)
    assert "queue waits for b" == standing(held, NOW).sentence


def test_a_host_that_has_the_newest_revision_and_did_not_reach_it_says_why() -> None:
    """What it tells of its failing steps, and not only that it is behind; before it has the document it cannot know."""
    failing = _with(applied_revision=2, ready="False", ready_reason="Retrying", message="cache: start failed")
    assert "Has revision 2 applied; of revision 3 it says: cache: start failed" == standing(failing, NOW).sentence
    without = _with(applied_revision=2, ready="False", digest=DIGESTS[1], message="cache: start failed")
    assert "Has revision 2 applied; revision 3 is published." == standing(without, NOW).sentence
