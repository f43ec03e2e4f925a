"""kill -9 in the middle of a withdrawal: run again it goes on where it was, and no finished step is run again."""

import signal
from collections import Counter
from pathlib import Path

import pytest

from desired_state.document import Limits
from puller.crash_points import CRASH_POINTS
from tests.fakes.puller import running
from tests.fakes.real_host import RealHost, real_host

SERVICES = ("one", "two")
REMOVAL = Counter((service, verb) for service in SERVICES for verb in ("stop", "uninstall"))
NOT_GONE_BY = ("before_accept", "after_accept", "before_deliver", "after_deliver", "after_delivered")
"""No new document comes, and this host has no backend."""


def finished(host: RealHost) -> Counter[tuple[str, str]]:
    """How often each step of the removal came to its end."""
    calls = ((service, verb) for mark, service, verb, _ in host.calls() if mark == "end")
    return Counter(call for call in calls if call[1] in ("stop", "uninstall"))


def begun(host: RealHost) -> set[int]:
    """How often any step was begun, by its id."""
    return set(Counter(step for mark, _, _, step in host.calls() if mark == "begin").values())


@pytest.mark.parametrize(
    ("point", "nth"),
    [(point, 1) for point in CRASH_POINTS if point not in NOT_GONE_BY]
    + [(point, 3) for point in CRASH_POINTS if "_step_" in point],
)
def test_killed_at_a_crash_point(tmp_path: Path, point: str, nth: int) -> None:
    """Killed there, and run again: everything is gone, by each step once."""
    host = real_host(tmp_path)
    host.publish(*(running(name) for name in SERVICES))
    assert 0 == host.one_pass()
    killed = host.command("withdraw", TOWLINE_CRASH_AT=f"{point}:{nth}")
    killed.communicate(timeout=60)
    assert -signal.SIGKILL == killed.returncode
    again = host.command("withdraw")
    out, err = again.communicate(timeout=60)
    assert (0, "everything that towline ran here is removed" in out) == (again.returncode, True), out + err
    assert (REMOVAL, {1}) == (finished(host), begun(host))
    assert [] == list((host.prefix / "services").glob("*/state"))


def test_an_agent_that_comes_instead_reads_the_receipts(tmp_path: Path) -> None:
    """Killed while a step runs, and the agent is started instead: it knows how that ended, and applies its document."""
    host = real_host(tmp_path)
    host.publish(*(running(name) for name in SERVICES), limits=Limits(parallel=1))
    assert 0 == host.one_pass()
    killed = host.command("withdraw", TOWLINE_CRASH_AT="after_step_spawned:3")
    killed.communicate(timeout=60)
    assert 0 == host.one_pass()
    assert ["running"] * 2 == [(host.prefix / "services" / name / "state").read_text() for name in SERVICES]
    outcomes = {step.outcome for report in host.delivered() if report.run for step in report.run.steps}
    assert ({"done"}, {1}) == (outcomes, begun(host))
