"""What the pass may not do: modes, expiry, limits."""

from datetime import timedelta
from pathlib import Path

from desired_state.document import Limits
from puller.store import modes
from puller.store.modes import Suspension
from tests.fakes.puller import FakePuller, condition, on_a_host, running
from tests.fakes.script_host import failing


def test_too_many_removals_stop_and_ask(tmp_path: Path) -> None:
    """Above the limit none is removed until somebody on the host confirms how many."""

    async def story(p: FakePuller) -> None:
        names = ("one", "two", "three")
        p.publish(*(running(name) for name in names))
        await p.run_pass()
        p.host.calls.clear()
        p.publish(*(running(name, state="absent") for name in names), limits=Limits(removals=2))
        end = await p.run_pass()
        assert [] == p.host.calls
        assert "towline-puller once --allow-removals 3" in condition(end.status, "Stalled").message
        await p.run_pass(allow_removals=3)
        assert {"absent"} == {p.host.service(name).state for name in names}

    on_a_host(tmp_path, story)


def test_audit_changes_nothing_and_tells_drift(tmp_path: Path) -> None:
    """In mode audit the plan is made and reported, and no changing verb runs."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.publish(running("one"), mode="audit")
        p.host.kill("one")
        p.host.calls.clear()
        end = await p.run_pass()
        assert ([], "Drifted") == (p.host.calls, condition(end.status, "Ready").reason)

    on_a_host(tmp_path, story)


def test_suspended_on_the_host(tmp_path: Path) -> None:
    """A local suspension stops changes and repairs, says its reason, is never green, and ends at its time."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        word = Suspension(reason="disk swap", until=p.clock.wall + timedelta(hours=2), since=p.clock.wall)
        await p.store.transact(modes.suspend, word)
        p.host.kill("one")
        p.host.calls.clear()
        end = await p.run_pass()
        assert [] == p.host.calls
        assert ("True", "SuspendedLocally") == (
            condition(end.status, "Suspended").status,
            condition(end.status, "Suspended").reason,
        )
        assert "disk swap" in condition(end.status, "Suspended").message
        assert "False" == condition(end.status, "Ready").status
        p.clock.advance(2 * 3600)
        await p.run_pass()
        assert [("one", "start")] == p.host.calls

    on_a_host(tmp_path, story)


def test_an_expired_document_repairs_and_does_nothing_new(tmp_path: Path) -> None:
    """What the held document asks for anew is not begun after its time; what it keeps up is kept up."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.publish(running("one"), running("new"))
        p.host.faults["new", "install"] = failing(1)
        await p.run_pass()
        p.clock.advance(91 * 86400)
        del p.host.faults["new", "install"]
        p.host.kill("one")
        p.host.calls.clear()
        end = await p.run_pass()
        assert [("one", "start")] == p.host.calls
        assert "DocumentExpired" == condition(end.status, "Stalled").reason

    on_a_host(tmp_path, story)
