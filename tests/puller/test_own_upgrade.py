"""The agent as a service of its own host: what the puller does around its own restart."""

from pathlib import Path

from puller.ports import Call, Ended
from tests.fakes.puller import FakePuller, bundle_of, condition, on_a_host, running, trivial_kind
from tests.fakes.script_host import failing

DONE = Ended(exit_code=0, stdout=b"changed=1\n")
UPGRADE = [("agent", "install"), ("agent", "configure"), ("agent", "restart")]


def with_an_agent(p: FakePuller) -> None:
    """A host with an agent of version 1.0 that runs; its restart is asked for and comes later, if at all."""
    scripts = {"trivialctl.sh": "exit 1\n", "agentctl.sh": "exit 1\n"}
    p.bundle = p.artifacts.put(bundle_of(scripts, trivial_kind(), trivial_kind("agent", side_by_side=True)))
    it = p.host.service("agent")
    it.state, it.version, it.pid = "running", "1.0", 99
    p.host.faults["agent", "install"] = p.host.faults["agent", "restart"] = lambda _: DONE


def agent(version: str = "2.0"):
    """The agent as the document has it."""
    return running("agent", kind="agent", version=version)


def replaced(p: FakePuller) -> None:
    """The restart comes: another puller runs, of the newer version."""
    p.host.service("agent").version, p.host.service("agent").pid = "2.0", 100
    p.restart()


def test_a_puller_that_is_replaced_plans_nothing_more(tmp_path: Path) -> None:
    """It still looks like the older version; it must not install and restart itself again, nor say that it is ready."""

    async def story(p: FakePuller) -> None:
        with_an_agent(p)
        p.publish(agent())
        end = await p.run_pass()
        assert UPGRADE == p.host.calls
        assert ("False", "behind") == (condition(end.status, "Ready").status, end.status.sync)
        replaced(p)
        end = await p.run_pass()
        assert (UPGRADE, "Converged") == (p.host.calls, condition(end.status, "Ready").reason)

    on_a_host(tmp_path, story)


def test_a_restart_that_never_came_is_asked_for_again(tmp_path: Path) -> None:
    """A minute later the older version still runs: that is drift, and it is repaired."""

    async def story(p: FakePuller) -> None:
        with_an_agent(p)
        p.publish(agent())
        await p.run_pass()
        await p.run_pass()
        assert UPGRADE * 2 == p.host.calls

    on_a_host(tmp_path, story)


def test_a_restart_that_was_not_needed_goes_on(tmp_path: Path) -> None:
    """A puller that is not replaced looks, and is ready in the same pass."""

    async def story(p: FakePuller) -> None:
        with_an_agent(p)
        p.host.faults["agent", "restart"] = lambda _: Ended(exit_code=0, stdout=b"changed=0\n")
        p.host.service("agent").version = "2.0"
        p.publish(agent())
        assert "Converged" == condition((await p.run_pass()).status, "Ready").reason

    on_a_host(tmp_path, story)


def test_what_undid_itself_is_stalled_and_the_rest_stays(tmp_path: Path) -> None:
    """The older version is back and refuses the newer: the reason is told; nothing else of the revision is undone."""

    async def story(p: FakePuller) -> None:
        with_an_agent(p)
        p.publish(agent("1.0"))
        await p.run_pass()
        p.publish(agent(), running("one"))
        await p.run_pass()
        p.restart()  # of the older version again
        p.host.faults["agent", "install"] = failing(6, "2.0 crashed at its start")
        end = await p.run_pass()
        stalled = condition(end.status, "Stalled")
        assert ("StepFailed", True) == (stalled.reason, "2.0 crashed at its start" in stalled.message)
        assert "running" == p.host.service("one").state
        p.host.calls.clear()
        await p.run_pass()
        assert [] == p.host.calls

    on_a_host(tmp_path, story)


def test_an_agent_that_cannot_be_upgraded_is_no_bad_revision(tmp_path: Path) -> None:
    """Its release is refused before the restart was recorded: told, and the rest of all revisions stands."""

    async def story(p: FakePuller) -> None:
        with_an_agent(p)
        p.publish(agent("1.0"))
        await p.run_pass()
        await p.run_pass()
        p.host.faults["agent", "restart"] = failing(6, "2.0 was undone: it crashed at its start")
        p.publish(agent(), running("one"))
        await p.run_pass()
        p.restart()
        p.publish(agent(), running("one"), running("two"))
        end = await p.run_pass()
        stalled = condition(end.status, "Stalled")
        assert ("StepFailed", True) == (stalled.reason, "crashed at its start" in stalled.message)
        assert ("running", "running", "behind") == (
            p.host.service("one").state,
            p.host.service("two").state,
            end.status.sync,
        )

    on_a_host(tmp_path, story)


def test_a_bad_revision_does_not_upgrade_the_agent(tmp_path: Path) -> None:
    """What is undone at once need not be begun: the agent of a document that proved bad stays as it is."""

    async def story(p: FakePuller) -> None:
        with_an_agent(p)
        p.publish(agent("1.0"), running("one"))
        await p.run_pass()
        await p.run_pass()
        p.host.faults["one", "restart"] = lambda call: _only(call, "bad")
        p.host.calls.clear()
        p.publish(agent(), running("one", parameters={"p_restart": "bad"}))
        end = await p.run_pass()
        assert "RolledBack" == condition(end.status, "Stalled").reason
        assert [] == [verb for service, verb in p.host.calls if service == "agent"]

    on_a_host(tmp_path, story)


def test_a_failure_that_may_pass_does_not_keep_the_agent_old(tmp_path: Path) -> None:
    """The newer agent may be the cure."""

    async def story(p: FakePuller) -> None:
        with_an_agent(p)
        p.host.faults["one", "install"] = failing(1)
        p.publish(agent(), running("one"))
        await p.run_pass()
        assert UPGRADE == [call for call in p.host.calls if call[0] == "agent"]

    on_a_host(tmp_path, story)


def _only(call: Call, value: str) -> Ended:
    return failing(6)(call) if call.environment["TOWLINE_PARAM_p_restart"] == value else DONE
