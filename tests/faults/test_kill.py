"""kill -9 of the puller, anywhere: the host converges, no finished step is run again, no report is lost or doubled."""

import random
import signal
import sqlite3
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from puller.crash_points import CRASH_POINTS
from tests.fakes.puller import running
from tests.fakes.real_host import RealHost, real_host

SERVICES = ("one", "two")
STEPS = Counter((service, verb) for service in SERVICES for verb in ("install", "configure", "start"))
MAX_STARTS = 30


def publish(host: RealHost, delay: str = "0") -> None:
    host.publish(*(running(name, parameters={"p_none": delay}) for name in SERVICES))


def check(host: RealHost) -> None:
    """The invariants, from outside: what the script wrote, what arrived, what is on the disk."""
    calls = host.calls()
    finished = Counter((service, verb) for mark, service, verb, _ in calls if mark == "end")
    assert finished == STEPS
    per_step = Counter(step for mark, _, _, step in calls if mark == "begin")
    assert {1} == set(per_step.values())
    reports = host.delivered()
    assert list(range(1, len(reports) + 1)) == [report.seq for report in reports]
    told = Counter((s.service, str(s.verb)) for r in reports if r.run for s in r.run.steps if s.outcome == "done")
    assert told == STEPS
    assert ["True"] == [c.status for c in reports[-1].status.conditions if c.type == "Ready"]
    assert {"running"} == {(host.prefix / "services" / name / "state").read_text() for name in SERVICES}
    with sqlite3.connect(host.paths.database) as db:
        assert [("ok",)] == db.execute("PRAGMA integrity_check").fetchall()
        assert [(0,)] == db.execute("SELECT count(*) FROM step WHERE state = 'started'").fetchall()
        assert [(0,)] == db.execute("SELECT count(*) FROM outbox").fetchall()


@pytest.mark.parametrize(
    ("point", "nth"),
    [(point, 1) for point in CRASH_POINTS]
    + [(point, nth) for point in CRASH_POINTS if "_step_" in point for nth in (2, 5)],
)
def test_killed_at_a_crash_point(tmp_path: Path, point: str, nth: int) -> None:
    """A convergence is killed at this point, when it is reached for the n-th time, and another puller goes on."""
    host = real_host(tmp_path)
    publish(host)
    assert -signal.SIGKILL == host.one_pass(TOWLINE_CRASH_AT=f"{point}:{nth}")
    assert host.one_pass() == 0
    check(host)


@pytest.mark.parametrize("first", CRASH_POINTS)
def test_killed_again_while_it_recovers(tmp_path: Path, first: str) -> None:
    """Killed in the middle of the steps, and killed again by the next start at this point."""
    host = real_host(tmp_path)
    publish(host)
    host.one_pass(TOWLINE_CRASH_AT="after_step_spawned:3")
    host.one_pass(TOWLINE_CRASH_AT=first)
    assert host.one_pass() == 0
    check(host)


@pytest.mark.parametrize("seed", range(6))
def test_killed_at_random_moments(tmp_path: Path, seed: int) -> None:
    """Killed again and again at moments that nobody chose, until it gets through."""
    host, chance = real_host(tmp_path), random.Random(seed)
    publish(host, delay="0.1")
    for _ in range(MAX_STARTS):
        process = host.start_pass()
        try:
            process.communicate(timeout=chance.uniform(0.2, 1.2))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        if process.returncode == 0:
            break
    assert host.one_pass() == 0
    check(host)
