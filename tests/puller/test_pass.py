"""The pass, on a host in memory: what it does, and what it leaves alone."""

from pathlib import Path

from msgspec.structs import replace

from desired_state.document import Limits
from tests.fakes.puller import FakePuller, condition, on_a_host, package, running
from tests.fakes.script_host import failing


def test_first_pass_brings_the_service(tmp_path: Path) -> None:
    """A host that never had a document installs, configures and starts what it is told, and is ready."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        end = await p.run_pass()
        assert [("one", "install"), ("one", "configure"), ("one", "start")] == p.host.calls
        assert ("True", "Converged") == (condition(end.status, "Ready").status, condition(end.status, "Ready").reason)
        assert ["done", "done", "done"] == [step.outcome for step in p.sink.last.run.steps]

    on_a_host(tmp_path, story)


def test_nothing_to_do_does_nothing(tmp_path: Path) -> None:
    """The second pass runs no changing script, asks no script, writes no report."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one", health={"interval_s": 3600}))
        await p.run_pass()
        p.host.calls.clear()
        p.host.looks.clear()
        await p.run_pass()
        assert ([], [], 1) == (p.host.calls, p.host.looks, len(p.sink.reports))

    on_a_host(tmp_path, story)


def test_the_hosts_own_address_is_reported(tmp_path: Path) -> None:
    """The address of the last request to the backend; a puller that was restarted and has not asked yet keeps it."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        address = ["10.0.0.7"]
        p.parts = replace(p.parts, own_address=lambda: address[0])
        p.restart()
        await p.run_pass()
        address[0] = ""
        p.restart()
        assert ("10.0.0.7", "10.0.0.7") == ((await p.run_pass()).status.address, p.sink.last.status.address)
        assert 1 == len(p.sink.reports)

    on_a_host(tmp_path, story)


def test_a_week_of_nothing_grows_nothing(tmp_path: Path) -> None:
    """10,080 passes with nothing to do leave every table with the rows it had."""

    async def story(p: FakePuller) -> None:
        await p.store.execute("PRAGMA synchronous = OFF")
        p.publish(*(running(f"s{n}") for n in range(3)))
        await p.run_pass()
        before = await p.rows()
        for _ in range(10_080):
            await p.run_pass()
        assert before == await p.rows()
        assert (1, 10_081) == (len(p.sink.reports), p.sink.heartbeats)

    on_a_host(tmp_path, story)


def test_a_dead_service_is_started_again(tmp_path: Path) -> None:
    """A process that died is started by the next pass, and nothing else is touched."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"), running("two"))
        await p.run_pass()
        p.host.calls.clear()
        p.host.kill("one")
        end = await p.run_pass()
        assert [("one", "start")] == p.host.calls
        assert ["corrective"] == [step.intent for step in p.sink.last.run.steps]
        assert "True" == condition(end.status, "Ready").status

    on_a_host(tmp_path, story)


def test_a_file_edited_by_hand_is_put_right(tmp_path: Path) -> None:
    """Drift of the configuration is seen by a glance and repaired within one pass."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one", health={"interval_s": 3600}))
        await p.run_pass()
        p.host.calls.clear()
        p.host.edit("one")
        end = await p.run_pass()
        assert ("one", "configure") == p.host.calls[0]
        assert "Converged" == condition(end.status, "Ready").reason

    on_a_host(tmp_path, story)


def test_only_the_needed_step_is_taken(tmp_path: Path) -> None:
    """A parameter that needs a reload is configured and reloaded, not restarted."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.host.calls.clear()
        p.publish(running("one", parameters={"p_reload": "1"}))
        await p.run_pass()
        assert [("one", "configure"), ("one", "reload")] == p.host.calls

    on_a_host(tmp_path, story)


def test_a_reload_that_is_not_implemented_becomes_a_restart(tmp_path: Path) -> None:
    """Exit code 3 of reload skips it, and the same pass restarts instead."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.host.faults["one", "reload"] = failing(3)
        p.host.calls.clear()
        p.publish(running("one", parameters={"p_reload": "1"}))
        end = await p.run_pass()
        assert [("one", "configure"), ("one", "reload"), ("one", "restart")] == p.host.calls
        assert "Converged" == condition(end.status, "Ready").reason

    on_a_host(tmp_path, story)


def test_what_left_the_document_is_left_alone(tmp_path: Path) -> None:
    """A service that the next document does not name goes on running, is looked at, and nothing is done to it."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"), running("two"))
        await p.run_pass()
        p.host.calls.clear()
        p.publish(running("two"))
        end = await p.run_pass()
        assert ([], "running") == (p.host.calls, p.host.service("one").state)
        assert ["one", "two"] == [service.name for service in end.status.services]

    on_a_host(tmp_path, story)


def test_removal_is_an_explicit_word(tmp_path: Path) -> None:
    """`absent` stops and uninstalls, and keeps the data."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.host.calls.clear()
        p.publish(running("one", state="absent"))
        await p.run_pass()
        assert [("one", "stop"), ("one", "uninstall")] == p.host.calls
        assert p.host.service("one").data

    on_a_host(tmp_path, story)


def test_independent_services_are_brought_side_by_side(tmp_path: Path) -> None:
    """As many steps run at once as the document allows, and no more."""

    async def story(p: FakePuller) -> None:
        p.host.meet = 3
        p.publish(*(running(f"s{n}") for n in range(6)), limits=Limits(parallel=3))
        await p.run_pass()
        assert 3 == p.host.most_running

    on_a_host(tmp_path, story)


def test_a_process_restarted_by_somebody_is_no_change(tmp_path: Path) -> None:
    """Another process in place of ours is recorded as the one that runs, and nothing is done to it."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.host.calls.clear()
        p.host.service("one").pid = 4242
        end = await p.run_pass()
        assert [] == p.host.calls
        assert 4242 == end.status.services[0].recorded.identity.pid

    on_a_host(tmp_path, story)


def test_programs_nobody_speaks_of_make_room(tmp_path: Path) -> None:
    """Once a document is reached, only what it names is kept for certain; before, also what the last good one names."""

    async def story(p: FakePuller) -> None:
        old, new = p.artifacts.put(b"old"), p.artifacts.put(b"new")
        p.publish(running("one", packages={"server": package(old)}))
        await p.run_pass()
        assert {old.digest, p.bundle.digest} == p.artifacts.used
        p.publish(running("one", version="2.0", packages={"server": package(new, "2.0")}))
        p.host.faults["one", "start"] = failing(1)
        await p.run_pass()
        assert {old.digest, p.bundle.digest} == p.artifacts.used
        p.host.faults.clear()
        await p.run_pass()
        assert {new.digest, p.bundle.digest} == p.artifacts.used

    on_a_host(tmp_path, story)


def test_a_script_is_asked_when_its_answer_is_old(tmp_path: Path) -> None:
    """A look in process stands in for the script until the health interval is over."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one", health={"interval_s": 150}))
        await p.run_pass()
        p.host.looks.clear()
        looks = []
        for _ in range(6):
            end = await p.run_pass()
            looks.append((len(p.host.looks), end.status.services[0].observation.by))
        by_glance, by_script = "glance", "script"
        assert [(0, by_glance), (0, by_glance), (1, by_script), (1, by_glance), (1, by_glance), (2, by_script)] == looks

    on_a_host(tmp_path, story)


def test_a_later_look_is_told_what_was_read_in_process(tmp_path: Path) -> None:
    """The first look of a service reads everything itself; the script of the next ones is told the digest."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one", health={"interval_s": 150}))
        await p.run_pass()
        first, p.host.told = p.host.told, []
        for _ in range(3):
            await p.run_pass()
        assert "" == first[0]
        assert [p.host.service("one").config] == p.host.told

    on_a_host(tmp_path, story)


def test_a_degraded_service_is_asked_each_time(tmp_path: Path) -> None:
    """Only a script can tell that a service is whole again."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one", health={"interval_s": 3600}))
        await p.run_pass()
        p.host.service("one").state = "degraded"
        p.host.service("one").pid = 4242
        assert "degraded" == (await p.run_pass()).status.health
        p.host.service("one").state = "running"
        assert "healthy" == (await p.run_pass()).status.health

    on_a_host(tmp_path, story)
