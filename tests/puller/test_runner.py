"""One script call, with real processes: what it may do to us, and what is left of it."""

import asyncio
import os
from pathlib import Path

import pytest

from desired_state.contract import Verb
from puller.calls.runner import MAX_STDERR, MAX_STDOUT, ScriptRunner
from puller.ports import Call, Ended

PATH = os.environ["PATH"]


def call(tmp_path: Path, body: str, *, verb: Verb = Verb.START, timeout_s: int = 20) -> Call:
    script = tmp_path / "trivialctl.sh"
    script.write_text(body)
    step = f"test-{tmp_path.name}-{os.getpid()}"
    return Call(
        step=step,
        service="one",
        verb=verb,
        script=script,
        folder=tmp_path / "step",
        timeout_s=timeout_s,
        environment={"PATH": PATH, "TOWLINE_STEP": step, "TOWLINE_PREFIX": str(tmp_path), "TOWLINE_SERVICE": "one"},
    )


def run(it: Call) -> Ended:
    return asyncio.run(ScriptRunner().run(it))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_the_answer_and_the_log_arrive(tmp_path: Path) -> None:
    """Exit code, standard output and standard error of a call are what the script gave."""
    ended = run(call(tmp_path, 'echo changed=1; echo "verb $1" >&2; exit 6'))
    assert (6, b"changed=1\n", b"verb start\n") == (ended.exit_code, ended.stdout, ended.stderr)


def test_the_environment_is_built_from_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script sees the contract's variables and none of the puller's."""
    monkeypatch.setenv("CANARY", "leaks")
    names = {line.split("=")[0] for line in run(call(tmp_path, "env -0 | tr '\\0' '\\n'")).stdout.decode().splitlines()}
    assert {"PATH", "TOWLINE_STEP", "TOWLINE_SERVICE", "TOWLINE_PREFIX"} == names - {"PWD", "SHLVL", "_", "OLDPWD"}


def test_only_the_three_standard_descriptors_are_inherited(tmp_path: Path) -> None:
    """Neither the step's lock nor a log's pipe reaches the script, so a daemon cannot hold them."""
    ended = run(call(tmp_path, "ls -l /proc/$$/fd | grep -c -e lock -e database; readlink /proc/$$/fd/0"))
    assert b"0\n/dev/null\n" == ended.stdout


def test_a_flood_on_standard_output_is_bounded(tmp_path: Path) -> None:
    """A script that prints without end meets a closed pipe; what is kept is just more than the contract allows."""
    ended = run(call(tmp_path, "yes"))
    assert MAX_STDOUT == len(ended.stdout)
    assert 141 == ended.exit_code


def test_a_flood_on_standard_error_keeps_its_end(tmp_path: Path) -> None:
    """The last MiB of a long log is kept and the script is not disturbed."""
    ended = run(call(tmp_path, "head -c 5000000 /dev/zero | tr '\\0' x >&2; echo end >&2; echo changed=0"))
    assert (0, MAX_STDERR, b"xend\n") == (ended.exit_code, len(ended.stderr), ended.stderr[-5:])


def test_a_script_that_outlives_its_timeout_is_ended(tmp_path: Path) -> None:
    """At the timeout the whole group is ended, and the answer says that it timed out."""
    ended = run(call(tmp_path, "echo $$; sleep 300 & wait", timeout_s=1))
    assert ended.timed_out
    assert not alive(int(ended.stdout))


def test_who_called_setsid_is_ended_too(tmp_path: Path) -> None:
    """A child in a session of its own that still carries the step's name does not survive a timeout."""
    ended = run(call(tmp_path, "setsid sleep 300 & echo $!; sleep 300", timeout_s=1))
    assert 1 == ended.leftovers
    assert not alive(int(ended.stdout.split()[0]))


def test_a_daemon_that_holds_the_output_does_not_hold_the_caller(tmp_path: Path) -> None:
    """A process left behind with the script's output open costs three seconds and no timeout; the answer counts."""
    ended = run(call(tmp_path, "echo changed=1; setsid env -u TOWLINE_STEP sleep 30 & echo $! >&2", timeout_s=300))
    assert (0, b"changed=1\n", False) == (ended.exit_code, ended.stdout, ended.timed_out)


def test_the_keeper_outlives_the_puller(tmp_path: Path) -> None:
    """The puller goes away in the middle of a call; a later one waits for the keeper and finds its receipt."""
    it = call(tmp_path, "sleep 0.7; echo changed=1")

    async def abandoned() -> Ended | None:
        running = asyncio.create_task(ScriptRunner().run(it))
        await asyncio.sleep(0.3)
        running.cancel()
        return await ScriptRunner().reattach(it)

    ended = asyncio.run(abandoned())
    assert ended is not None
    assert (0, b"changed=1\n") == (ended.exit_code, ended.stdout)


def test_a_step_without_keeper_and_receipt_is_unknown(tmp_path: Path) -> None:
    """After a power loss nobody holds the lock and no receipt lies there: nobody knows how it ended."""
    it = call(tmp_path, "true")
    it.folder.mkdir()
    (it.folder / "lock").touch()
    assert asyncio.run(ScriptRunner().reattach(it)) is None


def test_a_look_reads_what_the_script_prints(tmp_path: Path) -> None:
    """A verb that only looks is read directly."""
    ended = asyncio.run(ScriptRunner().ask(call(tmp_path, "echo state=stopped; exit 7", verb=Verb.CHECK_STATUS)))
    assert (7, b"state=stopped\n") == (ended.exit_code, ended.stdout)


def test_a_look_that_hangs_is_ended(tmp_path: Path) -> None:
    """A look that ignores TERM and hides in another session is over after its timeout, with nobody left."""
    body = "setsid sleep 300 & echo $!; wait"
    ended = asyncio.run(ScriptRunner().ask(call(tmp_path, body, verb=Verb.CHECK_STATUS, timeout_s=1)))
    assert ended.timed_out
    assert not alive(int(ended.stdout))


def test_a_look_that_floods_is_bounded(tmp_path: Path) -> None:
    """Only the first bytes of a flood are kept, and the flood ends with its timeout."""
    ended = asyncio.run(ScriptRunner().ask(call(tmp_path, "yes", verb=Verb.CHECK_STATUS, timeout_s=1)))
    assert (True, MAX_STDOUT) == (ended.timed_out, len(ended.stdout))
