"""A script's answer is believed only as far as its contract goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desired_state.answer import observation_of, read_answer
from desired_state.contract import Verb
from desired_state.retry import CAP_S, Next, after_failure, backoff_s
from tests.core.worlds import NOW


@pytest.mark.parametrize(
    ("code", "stdout", "state"),
    [
        (0, b"state=running\npid=7\nstart_time=9\nboot_id=b\n", "running"),
        (7, b"state=stopped\n", "stopped"),
        (5, b"state=absent\n", "absent"),
        (190, b"state=degraded\nreason=no PONG\n", "degraded"),
        (0, b"", "unknown"),
        (0, b"state=stopped\n", "unknown"),
        (1, b"", "unknown"),
        (3, b"state=running\n", "unknown"),
        (0, b"state=running\nconfig=abc\n", "unknown"),
    ],
)
def test_state_and_exit_code_must_agree(code, stdout, state):
    """One of the two alone is not believed."""
    assert observation_of("a", read_answer(Verb.CHECK_STATUS, code, stdout), NOW).state == state


def test_drift_is_bounded():
    """However much a script tells of an edited file, twenty short lines are kept."""
    told = b"".join(b"drift=a.conf: key%d = %s\n" % (n, b"x" * 500) for n in range(40))
    drift = observation_of("a", read_answer(Verb.CHECK_STATUS, 7, b"state=stopped\n" + told), NOW).drift
    assert (20, {200}) == (len(drift), {len(line) for line in drift})


@pytest.mark.parametrize(
    ("verb", "code", "stdout", "done"),
    [
        (Verb.START, 0, b"changed=1\n", True),
        (Verb.START, 0, b"", False),
        (Verb.START, 1, b"changed=1\n", False),
        (Verb.CONFIGURE, 0, b"changed=0\n", False),
    ],
)
def test_success_is_explicit(verb, code, stdout, done):
    """Exit 0 without its line is an error of the script."""
    assert read_answer(verb, code, stdout).done is done


def test_the_last_reason_counts():
    """What the report shows is the script's last `reason:` line."""
    answer = read_answer(Verb.START, 1, b"", b"reason: port busy\nlog\nreason: port 80 is in use by nginx\n")
    assert answer.reason == "port 80 is in use by nginx"


@given(st.integers(0, 255), st.binary(max_size=300), st.binary(max_size=100), st.sampled_from(list(Verb)))
def test_rubbish_becomes_an_answer(code, stdout, stderr, verb):
    """Whatever a script prints, reading it does not fail."""
    answer = read_answer(verb, code, stdout, stderr)
    assert observation_of("a", answer, NOW).service == "a"


@pytest.mark.parametrize(
    ("code", "stdout", "expected"),
    [
        (6, b"", Next.STALLED),
        (4, b"", Next.STALLED),
        (0, b"", Next.STALLED),
        (1, b"", Next.RETRY),
        (137, b"", Next.RETRY),
    ],
)
def test_the_class_of_a_failure_says_what_happens_next(code, stdout, expected):
    """What needs a person is stalled and not tried again; what may pass is."""
    assert after_failure(read_answer(Verb.START, code, stdout)) is expected


def test_no_answer_is_tried_again():
    """A call that ended without one may have been cut by anything."""
    assert after_failure(None) is Next.RETRY


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_is_bounded(attempt, jitter):
    """Never longer than the cap, never zero."""
    assert 0 < backoff_s(attempt, jitter) <= CAP_S
