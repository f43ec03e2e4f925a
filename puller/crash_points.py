"""Named crash points: where the fault tests end the puller, without a word, at the edge of a state."""

import os
import signal

CRASH_POINTS = (
    "before_accept",
    "after_accept",
    "after_bundle",
    "before_plan",
    "before_step_started",
    "after_step_started",
    "after_step_spawned",
    "after_step_ended",
    "after_step_done",
    "after_apply",
    "before_record",
    "after_record",
    "before_deliver",
    "after_deliver",
    "after_delivered",
)
"""Every point that the pass goes by, in its order."""

ENROLMENT_POINTS = (
    "after_pending_keys",
    "after_let_in",
    "after_keys",
    "after_trust",
    "after_former_identity",
    "after_settings",
    "after_mark",
)
"""Every point that an enrolment goes by, in its order."""

_wanted, _, _nth = os.environ.get("TOWLINE_CRASH_AT", "").partition(":")
_left = int(_nth or 1)


def reached(name: str) -> None:
    """Ends this process by SIGKILL if the environment says `TOWLINE_CRASH_AT=<name>[:<n-th time>]`."""
    if name == _wanted:
        _die_on_the_last()


def _die_on_the_last() -> None:
    global _left  # noqa: PLW0603 - counts down in one process that is about to end
    _left -= 1
    if _left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
