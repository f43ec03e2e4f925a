"""A record that was lost: what runs as declared comes back on record as the same process, where that is the truth."""

from pathlib import Path

from desired_state.contract import Verb
from desired_state.names import digest_of
from desired_state.step import Step
from puller.ports import Ended, Unavailable
from puller.reconciling.applying import lose
from puller.store import journal
from puller.store.journal import OpenRun
from tests.fakes.puller import FakePuller, condition, on_a_host, package, running
from tests.fakes.script_host import failing

BY_STEPS = [("one", "install"), ("one", "configure")]


async def lost(p: FakePuller, **fields: object) -> int:
    """One service ran, and the record is gone; its pid."""
    p.publish(running("one", **fields))
    await p.run_pass()
    await p.store.execute("DELETE FROM record")
    await p.store.execute("DELETE FROM step")
    p.restart()
    p.host.calls.clear()
    return p.host.service("one").pid


def test_a_lost_record_restarts_nothing(tmp_path: Path) -> None:
    """It is installed and configured under the process that runs, and the host is ready."""

    async def story(p: FakePuller) -> None:
        pid = await lost(p)
        end = await p.run_pass()
        assert (BY_STEPS, pid) == (p.host.calls, p.host.service("one").pid)
        assert "True" == condition(end.status, "Ready").status
        p.host.calls.clear()
        await p.run_pass()
        assert [] == p.host.calls

    on_a_host(tmp_path, story)


def test_what_was_changed_is_restarted_in_the_same_pass(tmp_path: Path) -> None:
    """Its configuration was edited by hand as well: it is put right, and the process gets it."""

    async def story(p: FakePuller) -> None:
        await lost(p)
        p.host.edit("one")
        end = await p.run_pass()
        assert ([*BY_STEPS, ("one", "restart")], "True") == (p.host.calls, condition(end.status, "Ready").status)

    on_a_host(tmp_path, story)


def test_a_try_that_failed_is_taken_for_a_change(tmp_path: Path) -> None:
    """The second install says changed=0; what the first one did before it failed nobody knows."""

    async def story(p: FakePuller) -> None:
        await lost(p)
        p.host.faults["one", "install"] = failing(1)
        await p.run_pass()
        p.host.faults.clear()
        await p.run_pass(insist=True)
        assert [("one", "install"), *BY_STEPS, ("one", "restart")] == p.host.calls

    on_a_host(tmp_path, story)


def test_a_try_that_never_ran_is_no_change(tmp_path: Path) -> None:
    """The package could not be had at first: no script ran, and the process runs on."""

    async def story(p: FakePuller) -> None:
        artifact = p.artifacts.put(b"program")
        pid = await lost(p, packages={"server": package(artifact)})
        p.artifacts.missing[artifact.digest] = Unavailable("nobody has it")
        await p.run_pass()
        p.artifacts.missing.clear()
        await p.run_pass(insist=True)
        assert (BY_STEPS, pid) == (p.host.calls, p.host.service("one").pid)

    on_a_host(tmp_path, story)


def test_a_try_that_was_lost_is_taken_for_a_change(tmp_path: Path) -> None:
    """Power went, but the service was up again before the agent: its install is repeated, and says so."""

    async def story(p: FakePuller) -> None:
        await lost(p)
        await _begun(p)
        await p.run_pass()
        assert [*BY_STEPS, ("one", "restart")] == p.host.calls
        told = [(str(step.verb), step.outcome, step.repeated) for step in p.sink.last.run.steps]
        assert [("install", "unknown", False), ("install", "done", True)] == told[:2]

    on_a_host(tmp_path, story)


def test_a_repeat_is_still_one_when_its_receipt_is_read(tmp_path: Path) -> None:
    """Lost, repeated, and the puller was killed during the repeat: what the lost try changed is not forgotten."""

    async def story(p: FakePuller) -> None:
        await lost(p)
        await _begun(p)
        for journalled in await p.store.read(journal.started):
            await lose(p.store, journalled)
        await _begun(p)
        p.host.receipts["one", "install"] = Ended(exit_code=0, stdout=b"changed=0\n")
        await p.run_pass()
        assert [("one", "configure"), ("one", "restart")] == p.host.calls
        assert [True] == [step.repeated for step in p.sink.last.run.steps if step.outcome == "done"][:1]

    on_a_host(tmp_path, story)


async def _begun(p: FakePuller) -> None:
    """The journal of a puller that was killed while the install ran."""
    await p.reconciler.intake.load()
    accepted = p.reconciler.intake.accepted
    assert accepted is not None
    step = Step(
        id=digest_of(b"install"),
        service="one",
        kind="trivial",
        verb=Verb.INSTALL,
        intent="intended",
        reasons=("asked for",),
        keeps_running=True,
    )
    run = OpenRun(id="run-killed", trigger="schedule", started_at=p.clock.wall)
    options = {"folder": "run-killed/one", "timeout_s": 20, "document": accepted.digest, "at": p.clock.wall}
    await p.store.transact(journal.start, run, step, **options)
    p.restart()
