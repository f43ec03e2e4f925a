"""self_healing: the three states, at any moment, twice at once, for ever."""

import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.prefix import CONTROL, Prefix, boot_id, scratch
from tests.scripts.calling import eventually


@pytest.fixture
def prefix() -> Iterator[Prefix]:
    with scratch() as made:
        yield made


def test_what_does_not_run_is_started(prefix: Prefix) -> None:
    """In one line, and it is the release that current leads to."""
    release = prefix.installed()
    assert [f"the agent did not run: started ({release})"] == prefix.heal()
    assert release == (prefix.runs() or (0, ""))[1]


def test_silent_while_all_is_well(prefix: Prefix) -> None:
    """Nothing is said, nothing is written, nothing is started."""
    prefix.installed()
    prefix.heal()
    before, running = _names(prefix), prefix.runs()
    assert ([], []) == (prefix.heal(), prefix.heal())
    assert (before, running, 1) == (_names(prefix), prefix.runs(), len(prefix.starts()))


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("serve", "1 passes, the last one ended 2 s ago, a good one"),
        ("failing", "1 passes, the last one ended 2 s ago, the last good one 7200 s ago"),
        ("never-good", "1 passes, the last one ended 2 s ago, none was good"),
    ],
)
def test_check_status_tells_the_last_good_pass(prefix: Prefix, behaviour: str, words: str) -> None:
    """An agent that serves and whose passes come to nothing is told from one that does its work."""
    prefix.point("current", prefix.lay("1.0", behaviour))
    prefix.heal()
    told = prefix.hand("check_status")
    assert (0, True) == (told.returncode, words in told.stdout), told.stdout


def test_a_killed_agent_is_back(prefix: Prefix) -> None:
    """After the next run, as another process."""
    prefix.installed()
    prefix.heal()
    pid, _ = prefix.runs() or (0, "")
    os.kill(pid, signal.SIGKILL)
    assert eventually(60, lambda: prefix.runs() is None)
    prefix.heal()
    assert pid != (prefix.runs() or (pid, ""))[0]


def test_the_second_of_two_ends_in_silence(prefix: Prefix) -> None:
    """One works; the other one does nothing, and does not wait."""
    prefix.installed()
    with (prefix.agent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert [] == prefix.heal(alone=False)
    assert prefix.runs() is None


def test_many_at_once_start_one(prefix: Prefix) -> None:
    """Eight at the same moment."""
    prefix.installed()
    command = ["bash", str(CONTROL), "self_healing", "--prefix", str(prefix.path)]
    started = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(8)]
    assert [0] * 8 == [process.wait(60) for process in started]
    assert 1 == len(prefix.starts())


def test_what_an_operator_stopped_stays_stopped(prefix: Prefix) -> None:
    """Until start."""
    prefix.installed()
    prefix.heal()
    assert 0 == prefix.hand("stop").returncode
    assert ([], None) == (prefix.heal(), prefix.runs())
    assert 0 == prefix.hand("start").returncode
    assert prefix.runs() is not None
    assert not (prefix.agent / "stopped").exists()


def test_one_that_does_not_serve_gets_three_minutes(prefix: Prefix) -> None:
    """Of the same process: it is noted, left alone, and restarted when they are over."""
    release = prefix.lay("1.0", "hang")
    prefix.point("current", release)
    prefix.point("good", release)
    prefix.heal()
    hanging = prefix.runs()
    assert ([], hanging) == (prefix.heal(), prefix.runs())
    noted = prefix.facts("not_serving")
    prefix.write("not_serving", process=noted["process"], since=int(noted["since"]) - 181)
    assert f"the agent (pid {(hanging or (0, ''))[0]}) has not served" in prefix.heal()[0]
    assert hanging != prefix.runs()
    assert not (prefix.agent / "not_serving").exists()


def test_three_minutes_of_another_process_count_for_nothing(prefix: Prefix) -> None:
    """A pid that is used again, another boot: it begins anew."""
    release = prefix.lay("1.0", "hang")
    prefix.point("current", release)
    prefix.point("good", release)
    prefix.heal()
    running = prefix.runs()
    prefix.write("not_serving", process=f"{boot_id()} {(running or (0, ''))[0]} 1", since=0)
    assert ([], running) == (prefix.heal(), prefix.runs())


def test_one_that_ignores_term_is_killed_last(prefix: Prefix) -> None:
    """TERM, patience, and then KILL to that very process."""
    release = prefix.lay("1.0", "deaf")
    prefix.point("current", release)
    prefix.point("good", release)
    prefix.heal()
    pid, _ = prefix.runs() or (0, "")
    said = prefix.functions("stop_patience_s=1; end_alone")
    assert f"the agent (pid {pid}) did not end within its time: killed" in said.stderr
    assert prefix.runs() is None


def test_a_stranger_with_the_lock_is_left_alone(prefix: Prefix) -> None:
    """`towline-puller once` by hand, or a puller from elsewhere: nothing is started, nothing is signalled."""
    prefix.installed()
    (prefix.path / "state").mkdir()
    lock = prefix.path / "state" / "lock"
    stranger = subprocess.Popen(["flock", str(lock), "sleep", "60"])
    try:
        assert eventually(60, lambda: _is_locked(lock))
        lock.write_text(f"{stranger.pid}\n")
        assert ([], [], None) == (prefix.heal(), prefix.starts(), stranger.poll())
        assert "" == prefix.functions("known_mode; end_alone").stdout
        assert stranger.poll() is None
    finally:
        stranger.terminate()
        stranger.wait()


@pytest.mark.parametrize("broken", ["missing", "dangling"])
def test_a_broken_current_leads_to_good(prefix: Prefix, broken: str) -> None:
    """And the agent is started from there."""
    release = prefix.installed()
    (prefix.agent / "current").unlink()
    if broken == "dangling":
        prefix.point("current", "9.9-000000000000")
    assert f"current led nowhere: it leads to {release}" == prefix.heal()[0]
    assert release == (prefix.runs() or (0, ""))[1]


def test_with_both_links_gone_a_release_is_found(prefix: Prefix) -> None:
    """What timer and cron run finds the script by itself, too."""
    release = prefix.installed()
    prefix.functions("known_mode; keep_install")
    (prefix.agent / "current").unlink()
    (prefix.agent / "good").unlink()
    subprocess.run(["sh", str(prefix.agent / "self_healing")], check=True, timeout=60, stdout=subprocess.DEVNULL)
    assert (release, release) == (prefix.leads("current"), prefix.leads("good"))
    assert prefix.runs() is not None


def test_a_damaged_release_gives_way_to_a_whole_one(prefix: Prefix) -> None:
    """A file of it was changed by hand, and it does not start: what is whole runs instead."""
    old, new = prefix.installed(), prefix.lay("2.0")
    prefix.point("current", new)
    (prefix.agent / "releases" / new / "behaviour").write_text("crash\n")
    assert f"the release {new} is damaged: back to {old}" == prefix.heal()[0]
    assert old == (prefix.runs() or (0, ""))[1]


def test_without_any_release_it_says_what_to_do(prefix: Prefix) -> None:
    """And fails nothing."""
    assert "run the command of towline host invite again" in prefix.heal()[0]


def test_what_runs_is_what_is_due(prefix: Prefix) -> None:
    """Power was lost between the switch and the restart."""
    old, new = prefix.installed(), prefix.lay("2.0")
    prefix.heal()
    prefix.point("current", new)
    prefix.point("good", new)
    assert [f"release {old} runs, {new} is due: restarting"] == prefix.heal()
    assert new == (prefix.runs() or (0, ""))[1]


def test_nothing_installed_is_nothing_to_heal(prefix: Prefix) -> None:
    """A cron line that outlived everything harms nothing."""
    said = prefix.hand("self_healing", "--prefix", str(prefix.folder / "elsewhere"))
    assert (0, "", "") == (said.returncode, said.stdout, said.stderr)
    assert not (prefix.folder / "elsewhere").exists()


def _names(prefix: Prefix) -> list[str]:
    return sorted(str(path) for path in prefix.path.rglob("*"))


def _is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open("r") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
