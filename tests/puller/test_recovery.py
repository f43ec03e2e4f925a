"""After a crash: receipts are written down, lost steps are run again and marked, nothing is assumed."""

from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

from desired_state.contract import Verb
from desired_state.names import digest_of
from desired_state.step import Step
from puller.ports import Ended
from puller.reconciling import reconcile
from puller.store import journal
from puller.store.journal import OpenRun
from tests.fakes.puller import FakePuller, condition, on_a_host, running
from tests.fakes.script_host import failing


async def killed_during(p: FakePuller, verb: Verb) -> None:
    """What the store has of a puller that was killed while this step of the accepted document ran."""
    accepted = p.reconciler.intake.accepted
    assert accepted is not None
    step = Step(
        id=digest_of(verb.encode()), service="one", kind="trivial", verb=verb, intent="intended", reasons=("asked for",)
    )
    run = OpenRun(id="run-killed", trigger="schedule", started_at=p.clock.wall)
    options = {"folder": "run-killed/one", "timeout_s": 20, "document": accepted.digest, "at": p.clock.wall}
    await p.store.transact(journal.start, run, step, **options)
    p.restart()


def test_a_receipt_is_written_down_and_nothing_is_run_again(tmp_path: Path) -> None:
    """A stop that its keeper saw through stands in the record and in the report, and is not run a second time."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        await killed_during(p, Verb.STOP)
        p.host.receipts["one", "stop"] = Ended(exit_code=0, stdout=b"changed=1\n")
        p.host.kill("one")
        p.host.calls.clear()
        await p.run_pass()
        assert [("one", "start")] == p.host.calls
        told = p.sink.last.run
        assert ("run-killed", ["stop", "start"]) == (told.id, [str(step.verb) for step in told.steps])

    on_a_host(tmp_path, story)


def test_a_lost_step_is_told_and_its_repeat_is_marked(tmp_path: Path) -> None:
    """With neither receipt nor keeper the end is unknown: the host is looked at, and what is run again says so."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        await killed_during(p, Verb.START)
        p.host.kill("one")
        await p.run_pass()
        told = [(str(step.verb), step.outcome, step.repeated) for step in p.sink.last.run.steps]
        assert [("start", "unknown", False), ("start", "done", True)] == told

    on_a_host(tmp_path, story)


def test_a_lost_step_that_had_its_effect_is_not_run_again(tmp_path: Path) -> None:
    """The look decides: a service that runs is not started because somebody does not remember starting it."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        await killed_during(p, Verb.START)
        p.host.calls.clear()
        end = await p.run_pass()
        assert ([], "True") == (p.host.calls, condition(end.status, "Ready").status)

    on_a_host(tmp_path, story)


def test_a_failure_of_the_old_document_does_not_condemn_the_new_one(tmp_path: Path) -> None:
    """A receipt that says 'document wrong' is about the document it was planned from, not about the one after it."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        await killed_during(p, Verb.RESTART)
        p.host.receipts["one", "restart"] = failing(6)(None)  # type: ignore[arg-type]
        p.publish(running("one", version="2.0"))
        end = await p.run_pass()
        assert ("2.0", "synced") == (p.host.service("one").version, end.status.sync)

    on_a_host(tmp_path, story)


def test_a_verdict_that_was_not_reached_is_reached_later(tmp_path: Path) -> None:
    """Ended between the failure and the conclusion: the next puller concludes that the revision is bad."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.publish(running("one"), running("new"))
        p.host.faults["new", "install"] = failing(6, "nonsense")
        with patch.object(reconcile, "verdict", side_effect=SystemExit), suppress(SystemExit):
            await p.run_pass()
        p.restart()
        p.host.calls.clear()
        end = await p.run_pass()
        assert ([], "RolledBack") == (p.host.calls, condition(end.status, "Stalled").reason)

    on_a_host(tmp_path, story)
