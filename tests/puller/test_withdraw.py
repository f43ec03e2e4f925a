"""`withdraw`: one pass that takes everything away, and says so; the command around it."""

from datetime import timedelta
from pathlib import Path

import pytest

from desired_state.document import Limits
from desired_state.withdrawal import Withdrawal
from puller.ports import Stalled
from puller.single_flight import SingleFlight
from puller.store import inventory, modes
from puller.store.modes import Suspension
from tests.fakes.puller import FakePuller, condition, on_a_host, running
from tests.fakes.real_host import RealHost, real_host
from tests.fakes.script_host import failing

ORDER = Withdrawal()


def test_everything_goes_and_the_host_is_not_green(tmp_path: Path) -> None:
    """Services of the document and of an earlier one are removed; the report says so, and no revision applied."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"), running("two"))
        await p.run_pass()
        p.publish(running("one"))
        await p.run_pass()
        p.host.calls.clear()
        end = await p.run_pass(withdrawal=ORDER)
        assert {"absent"} == {p.host.service(name).state for name in ("one", "two")}
        assert {"stop", "uninstall"} == {verb for _, verb in p.host.calls}
        told = p.sink.last.status
        assert ("False", "Withdrawn") == (condition(told, "Ready").status, condition(told, "Ready").reason)
        assert ("behind", "unknown", None) == (told.sync, told.health, told.applied_revision)
        assert end.status == told

    on_a_host(tmp_path, story)


def test_an_agent_that_runs_again_applies_the_document_again(tmp_path: Path) -> None:
    """Withdrawn is no state of its own: the document is what counts, as soon as somebody looks at it."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        await p.run_pass(withdrawal=ORDER)
        end = await p.run_pass()
        assert ("running", "Converged") == (p.host.service("one").state, condition(end.status, "Ready").reason)

    on_a_host(tmp_path, story)


def test_purging_needs_its_word(tmp_path: Path) -> None:
    """Data stays, and goes with purge_data, also in a second withdrawal."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        await p.run_pass(withdrawal=ORDER)
        assert p.host.service("one").data
        await p.run_pass(withdrawal=Withdrawal(purge_data=True))
        assert not p.host.service("one").data

    on_a_host(tmp_path, story)


def test_more_than_the_limit_are_held(tmp_path: Path) -> None:
    """None goes until the number is said."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"), running("two"), limits=Limits(removals=1))
        await p.run_pass()
        p.host.calls.clear()
        end = await p.run_pass(withdrawal=ORDER)
        assert ([], "Held") == (p.host.calls, condition(end.status, "Stalled").reason)
        await p.run_pass(withdrawal=ORDER, allow_removals=2)
        assert {"absent"} == {p.host.service(name).state for name in ("one", "two")}

    on_a_host(tmp_path, story)


def test_a_failure_brings_nothing_back(tmp_path: Path) -> None:
    """What cannot be removed stays and is told; the last good document is no refuge from a withdrawal."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.publish(running("one"), running("two"))
        await p.run_pass()
        p.host.faults["one", "uninstall"] = failing(6, "somebody holds it")
        end = await p.run_pass(withdrawal=ORDER)
        assert ("stopped", "absent") == (p.host.service("one").state, p.host.service("two").state)
        assert "somebody holds it" in condition(end.status, "Ready").message
        p.host.faults.clear()
        await p.run_pass(withdrawal=ORDER, insist=True)
        assert "absent" == p.host.service("one").state

    on_a_host(tmp_path, story)


def test_an_old_document_is_no_excuse(tmp_path: Path) -> None:
    """The document has expired, and the backend is away: the order is a new one, and the scripts are here."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.source.away = p.sink.away = True
        p.clock.wall += timedelta(days=400)
        await p.run_pass(withdrawal=ORDER)
        assert "absent" == p.host.service("one").state

    on_a_host(tmp_path, story)


@pytest.mark.parametrize("mode", ["audit", "suspended"])
def test_a_mode_that_forbids_changes_forbids_this(tmp_path: Path, mode: str) -> None:
    """The document's mode: refused with its reason, nothing done."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.publish(running("one"), mode=mode, mode_reason="audit of the auditors")
        p.host.calls.clear()
        with pytest.raises(Stalled, match=f"mode {mode} forbids changes .audit of the auditors."):
            await p.run_pass(withdrawal=ORDER)
        assert [] == p.host.calls

    on_a_host(tmp_path, story)


def test_a_suspension_of_this_host_forbids_it(tmp_path: Path) -> None:
    """The word of another operator of this host counts."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        await p.store.transact(modes.suspend, Suspension(reason="disk swap", until=None, since=p.clock.wall))
        with pytest.raises(Stalled, match="disk swap"):
            await p.run_pass(withdrawal=ORDER)
        assert "running" == p.host.service("one").state

    on_a_host(tmp_path, story)


def test_without_a_document_there_are_no_scripts(tmp_path: Path) -> None:
    """Services are here and nobody says which scripts are theirs: a person is asked. Nothing here: nothing to do."""

    async def story(p: FakePuller) -> None:
        await p.run_pass(withdrawal=ORDER)
        p.publish(running("one"))
        await p.run_pass()
        p.source.away = True
        for table in ("document", "ratchet"):
            await p.store.execute(f"DELETE FROM {table}")  # noqa: S608
        p.restart()
        with pytest.raises(Stalled, match="scripts that remove one"):
            await p.run_pass(withdrawal=ORDER)

    on_a_host(tmp_path, story)


def test_plan_changes_nothing(tmp_path: Path) -> None:
    """`--plan` is the plan of that pass."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        before, rows = dict(p.host.services), await p.rows()
        found = await p.reconciler.preview(ORDER)
        assert found.plan is not None
        assert ["stop", "uninstall"] == [str(step.verb) for step in found.plan.steps]
        assert (before, rows) == (p.host.services, await p.rows())

    on_a_host(tmp_path, story)


def _told(host: RealHost, *arguments: str) -> tuple[int, str]:
    process = host.command(*arguments)
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


def test_the_command(tmp_path: Path) -> None:
    """`withdraw --plan` tells, `withdraw` does, a second one has nothing to do; the agent's own service is left out."""
    host = real_host(tmp_path)
    host.publish(running("agent", kind="agent", version="1.0"), running("one"), running("two"))
    agent = host.prefix / "services/agent"
    agent.mkdir(parents=True)
    for name, text in (("state", "running"), ("version", "1.0")):
        (agent / name).write_text(text)
    _told(host, "once")
    _told(host, "once")
    code, out = _told(host, "withdraw", "--plan")
    assert (0, True, False) == (code, "one: uninstall" in out, "agent: " in out), out
    assert (host.prefix / "services/one/state").exists()
    code, out = _told(host, "withdraw")
    assert (0, True, True) == (code, "everything that towline ran here is removed" in out, "data stays" in out), out
    assert ["agent"] == [path.parent.name for path in (host.prefix / "services").glob("*/state")]
    code, out = _told(host, "withdraw")
    assert (0, True) == (code, "everything that towline ran here is removed" in out), out


def test_the_command_above_the_limit(tmp_path: Path) -> None:
    """Held, with an exit code of its own, also in the plan; the words that it says do it."""
    host = real_host(tmp_path)
    host.publish(running("one"), running("two"), limits=Limits(removals=1))
    _told(host, "once")
    assert [2, 2] == [_told(host, "withdraw", "--plan")[0], _told(host, "withdraw")[0]]
    assert [0, 0] == [_told(host, "withdraw", *more, "--allow-removals", "2")[0] for more in (["--plan"], [])]


def test_not_beside_an_agent(tmp_path: Path) -> None:
    """It would install again what is removed."""
    host = real_host(tmp_path)
    host.publish(running("one"))
    _told(host, "once")
    with SingleFlight(host.paths.lock):
        code, out = _told(host, "withdraw")
    assert (1, True) == (code, "stop it first" in out), out
    assert (host.prefix / "services/one/state").exists()


def test_the_record_knows_what_went(tmp_path: Path) -> None:
    """It is the same record: absent, with its data still there."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        await p.run_pass(withdrawal=ORDER)
        entry = (await p.store.read(inventory.record))["one"]
        assert ("absent", True) == (entry.state, entry.holds_data)

    on_a_host(tmp_path, story)
