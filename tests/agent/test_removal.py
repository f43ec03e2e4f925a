"""uninstall leaves nothing of ours and touches nothing else; installall and uninstallall ask first."""

import os
import pty
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from puller.kinds.traces import tree
from tests.agent.prefix import CONTROL, OTHERS, Prefix, archive, digest_of, kept_by_cron, lives, scratch
from tests.scripts.calling import eventually


@pytest.fixture
def prefix() -> Iterator[Prefix]:
    with kept_by_cron() as made:
        yield made


def live_in(prefix: Prefix) -> None:
    """As an agent leaves a prefix that has been at work."""
    prefix.installed()
    prefix.functions("known_mode; keep_install")
    prefix.heal()
    for name in ("state/keys/identity", "state/towline.db", "artifacts/sha256/aa", "bundles/b/x.sh", "steps/1/receipt"):
        _file(prefix.path / name)
    for name in ("run/puller.sock", "log/puller.log", "incoming/a.tar.gz", "metrics/towline.prom", "etc/ca.pem"):
        _file(prefix.path / name)
    _file(prefix.path / "etc/puller.toml", f'host = "web-1"\nmetrics_dir = "{prefix.folder}/textfiles"\n')
    _file(prefix.folder / "textfiles/towline.prom")
    _file(prefix.folder / "textfiles/theirs.prom")


def service(prefix: Prefix, name: str) -> Path:
    """A service as a script leaves it."""
    root = prefix.path / "services" / name
    for part in ("etc/conf", "data/kept", "run/identity", "log/out"):
        _file(root / part)
    _file(prefix.path / "packages/web-1/bin/web")
    (root / "current").symlink_to("../../packages/web-1")
    _file(prefix.path / "services" / f".{name}.lock")
    _file(prefix.path / ".packages.lock")
    return root


def test_nothing_of_ours_is_left(prefix: Prefix) -> None:
    """The tree and the crontab are what they were; no process is left; the prefix itself is gone."""
    _file(prefix.folder / "crontab.text", OTHERS)
    _file(prefix.folder / "textfiles/theirs.prom")
    (prefix.agent / "installed").unlink()
    prefix.agent.rmdir()
    prefix.path.rmdir()
    before = {path: what[2] for path, what in tree(prefix.folder).items()}
    prefix.agent.mkdir(parents=True)
    (prefix.agent / "installed").write_text("mode=cron\n")
    live_in(prefix)
    pid, _ = prefix.runs() or (0, "")
    said = prefix.hand("uninstall")
    assert (0, "the agent is uninstalled\n", "") == (said.returncode, said.stdout, said.stderr)
    after = {path: what[2] for path, what in tree(prefix.folder).items()}
    helpers = {"functions.sh", "towline-agent-1.0-serve.tar.gz"}  # the test's own
    assert before == {path: what for path, what in after.items() if path not in helpers}
    assert not lives(pid)


def test_folders_above_the_prefix_go_if_they_were_made(prefix: Prefix) -> None:
    """~/.local/share of a user who had none; what somebody else has laid there meanwhile stays."""
    for theirs, left in ((None, []), ("a/theirs", ["a", "a/theirs"])):
        code = 'the_prefix "$PWD/a/b/towline"; take_lock 1; mode=cron; keep_install'
        prefix.functions(f"cd '{prefix.folder}'; {code}")
        if theirs:
            _file(prefix.folder / theirs)
        said = prefix.hand("uninstall", "--prefix", str(prefix.folder / "a/b/towline"))
        assert (0, "the agent is uninstalled\n") == (said.returncode, said.stdout)
        found = sorted(str(p.relative_to(prefix.folder)) for p in (prefix.folder / "a").rglob("*"))
        assert left == ["a", *found] if theirs else not (prefix.folder / "a").exists()


def test_a_second_time_there_is_nothing_to_do(prefix: Prefix) -> None:
    """And it says so, and makes nothing."""
    live_in(prefix)
    prefix.hand("uninstall")
    said = prefix.hand("uninstall")
    assert (0, f"nothing to do: nothing of the agent is below {prefix.path}\n") == (said.returncode, said.stdout)
    assert not prefix.path.exists()


def test_a_prefix_that_is_somebody_elses_is_left_alone(prefix: Prefix) -> None:
    """`--prefix /var` by mistake: `log` and `run` of others are not removed as the agent's, and they are named."""
    theirs = prefix.folder / "var"
    for name in ("log/syslog", "run/pid", "agent/notes"):
        _file(theirs / name)
    before = tree(theirs)
    said = prefix.hand("uninstall", "--prefix", str(theirs))
    words = "somebody else's: agent, run, log. Nothing was removed"
    assert (2, True) == (said.returncode, words in said.stderr), said.stderr
    assert before == tree(theirs)


def test_by_the_script_that_is_removed(prefix: Prefix) -> None:
    """The operator calls the one in agent/current: it is gone at the end, and it came to its end."""
    live_in(prefix)
    script = prefix.agent / "current" / "ctl" / "agentctl.sh"
    said = subprocess.run(
        ["bash", str(script), "uninstall"],
        cwd=script.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": prefix.environment["PATH"]},
    )
    assert (0, "the agent is uninstalled\n") == (said.returncode, said.stdout)
    assert not prefix.path.exists()


def test_services_stay(prefix: Prefix) -> None:
    """Their folders, their programs and their processes; and it is said how to take them over again."""
    live_in(prefix)
    root = service(prefix, "web")
    before = tree(root)
    running = subprocess.Popen(["sleep", "60"], cwd=root)
    try:
        said = prefix.hand("uninstall").stdout
        assert f"running where they ran: web (below {prefix.path}/services)" in said
        assert "to take them over again: install the agent below the same prefix" in said
        assert (before, None) == (tree(root), running.poll())
        assert ["packages", "services"] == sorted(p.name for p in prefix.path.iterdir() if p.is_dir())
        assert (prefix.path / "packages/web-1/bin/web").exists()
    finally:
        running.terminate()
        running.wait()


def test_data_stays(prefix: Prefix) -> None:
    """Of services that were uninstalled; programs that nobody uses do not."""
    live_in(prefix)
    _file(prefix.path / "services/db/data/kept")
    _file(prefix.path / "packages/db-1/bin/db")
    _file(prefix.path / "services/.db.lock")
    _file(prefix.path / "services/.agent.lock")
    said = prefix.hand("uninstall").stdout
    assert f"data stays below {prefix.path}/services: db" in said
    files = sorted(str(path.relative_to(prefix.path)) for path in prefix.path.rglob("*") if path.is_file())
    assert ["services/.db.lock", "services/db/data/kept"] == files


def test_what_is_not_ours_is_left_and_named(prefix: Prefix) -> None:
    """A file that somebody laid into the prefix."""
    live_in(prefix)
    _file(prefix.path / "notes.txt", "theirs")
    said = prefix.hand("uninstall")
    assert f"not ours, and left below {prefix.path}: notes.txt" in said.stdout
    assert [prefix.path / "notes.txt"] == list(prefix.path.iterdir())


def test_links_are_not_followed(prefix: Prefix) -> None:
    """A folder of ours that is a link to somewhere else: the link goes, what it leads to stays."""
    live_in(prefix)
    _file(prefix.folder / "elsewhere/theirs")
    (prefix.path / "artifacts" / "link").symlink_to(prefix.folder / "elsewhere")
    (prefix.path / "incoming" / "a.tar.gz").unlink()
    (prefix.path / "incoming").rmdir()
    (prefix.path / "incoming").symlink_to(prefix.folder / "elsewhere")
    prefix.hand("uninstall")
    assert not prefix.path.exists()
    assert (prefix.folder / "elsewhere/theirs").exists()


@pytest.mark.parametrize("missing", ["agent", "state", "agent/current", "agent/installed", "etc"])
def test_a_half_removed_one_is_finished(prefix: Prefix, missing: str) -> None:
    """Whatever an earlier removal, or a hand, took away already."""
    live_in(prefix)
    prefix.hand("stop")
    gone = prefix.path / missing
    if gone.is_dir() and not gone.is_symlink():
        prefix.functions(f"remove_below '{missing}'")
    else:
        gone.unlink()
    said = prefix.hand("uninstall")
    assert (0, False) == (said.returncode, prefix.path.exists()), said.stderr
    assert not (prefix.folder / "crontab.text").exists()


def test_a_removal_that_is_killed_is_finished_by_the_next(prefix: Prefix) -> None:
    """Killed before each command that removes something."""
    for number in range(1, 40):
        with scratch("cron") as made:
            made.environment = {**prefix.environment, "PATH": f"{prefix.folder}:/usr/bin:/bin"}
            live_in(made)
            over = made.functions_until_cut(number, "hand_uninstall")
            said = made.hand("uninstall")
            assert (0, False) == (said.returncode, made.path.exists()), f"cut at {number}: {said.stderr}"
            if over:
                assert number > 8
                return
    raise AssertionError("it never came to its end")


def test_a_step_that_runs_is_not_torn(prefix: Prefix) -> None:
    """It is waited for; when it does not end, nothing is removed, and it is said."""
    live_in(prefix)
    lock = prefix.path / "steps/1/lock"
    step = subprocess.Popen(["flock", str(lock), "sleep", "60"])
    try:
        assert eventually(60, lock.exists)
        text = "no_step_runs() { REPLY=steps/1/lock; return 1; }\nwait_for() { no_step_runs; }\nhand_uninstall"
        with pytest.raises(AssertionError, match=r"a step runs still .*steps/1/lock.*: the agent is stopped"):
            prefix.functions(text)
        assert (prefix.path / "state/keys/identity").exists()
        assert "busy" == prefix.functions("no_step_runs && say idle || say busy").stdout.strip()
    finally:
        step.terminate()
        step.wait()


def test_installed_again_after_services_stayed(prefix: Prefix) -> None:
    """Below the same prefix."""
    live_in(prefix)
    service(prefix, "web")
    prefix.hand("uninstall")
    prefix.agent.mkdir()
    (prefix.agent / "installed").write_text("mode=cron\n")
    packed = archive(prefix.folder, "2.0")
    prefix.functions(f"unpack_release '{packed}' {digest_of(packed)}; switch_release current \"$REPLY\"")
    prefix.heal()
    assert prefix.runs() is not None


def test_installall_shows_the_plan_and_asks(prefix: Prefix) -> None:
    """Nobody there to answer: nothing is done. With --yes one pass, whose outcome is the end."""
    live_in(prefix)
    said = prefix.hand("installall")
    assert (1, "1 step: start of web\n") == (said.returncode, said.stdout)
    said = prefix.hand("installall", "--yes")
    assert (0, "1 step: start of web\nReady: converged\n") == (said.returncode, said.stdout)


def test_uninstallall_removes_services_and_then_the_agent(prefix: Prefix) -> None:
    """The words of the operator reach the withdrawal: first shown, then done."""
    live_in(prefix)
    prefix.environment["WITHDRAWN"] = str(prefix.folder / "withdrawn")
    said = prefix.hand("uninstallall", "--yes", "--purge-data", "--allow-removals", "7")
    assert (0, "the agent is uninstalled") == (said.returncode, said.stdout.splitlines()[-1]), said.stderr
    words = "--purge-data --allow-removals 7"
    assert [f"withdraw --plan {words}", f"withdraw {words}"] == (prefix.folder / "withdrawn").read_text().splitlines()
    assert not prefix.path.exists()


def test_uninstallall_with_nobody_to_ask_leaves_the_agent_alone(prefix: Prefix) -> None:
    """It is not stopped either: the same one runs on."""
    live_in(prefix)
    prefix.heal()
    before = prefix.runs()
    said = prefix.hand("uninstallall")
    assert (1, "") == (said.returncode, said.stdout)
    assert "nobody is there to ask: say --yes" in said.stderr
    assert before is not None
    assert before == prefix.runs()
    assert not (prefix.agent / "stopped").exists()


@pytest.mark.parametrize(("answer", "gone"), [("web-1", True), ("yes", False), ("", False)])
def test_uninstallall_asks_for_the_hosts_name(prefix: Prefix, answer: str, gone: bool) -> None:
    """Another answer: nothing is removed, and the agent runs again."""
    live_in(prefix)
    prefix.environment["WITHDRAWN"] = str(prefix.folder / "withdrawn")
    assert gone == (0 == _at_a_terminal(prefix, answer, "uninstallall"))
    assert gone == (not prefix.path.exists())
    if not gone:
        assert prefix.runs() is not None
        assert not (prefix.agent / "stopped").exists()


def _at_a_terminal(prefix: Prefix, answer: str, command: str) -> int:
    """Types an answer; the exit code."""
    ours, theirs = pty.openpty()
    words = ["bash", str(CONTROL), command, "--prefix", str(prefix.path)]
    environ = {"HOME": str(prefix.folder), **prefix.environment}
    process = subprocess.Popen(
        words, stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ, start_new_session=True
    )
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    try:
        return process.wait(60)
    finally:
        os.close(ours)


def _file(path: Path, text: str = "x\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
