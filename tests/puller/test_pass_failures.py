"""The pass, when something fails: what is tried again, when, and what is said of it."""

from datetime import timedelta
from pathlib import Path

from puller.ports import Ended, Stalled, Unavailable
from tests.fakes.puller import FakePuller, condition, on_a_host, package, running
from tests.fakes.script_host import failing


def test_a_service_that_keeps_dying_is_started_more_and_more_slowly(tmp_path: Path) -> None:
    """Ten minutes of dying every second lead to a handful of starts, and the condition says that it waits."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.host.calls.clear()
        for _ in range(600):
            p.host.kill("one")
            p.clock.advance(-59)
            end = await p.run_pass()
        assert 4 <= p.host.calls.count(("one", "start")) <= 10
        assert "RetryPending" == condition(end.status, "Reconciling").reason

    on_a_host(tmp_path, story)


def test_what_depends_on_a_failure_waits(tmp_path: Path) -> None:
    """A service whose dependency failed is not started; one that stands alone is."""

    async def story(p: FakePuller) -> None:
        p.host.faults["base", "start"] = failing(1)
        p.publish(running("base"), running("app", depends_on=("base",)), running("other"))
        await p.run_pass()
        assert ("app", "install") not in p.host.calls
        assert "running" == p.host.service("other").state

    on_a_host(tmp_path, story)


def test_a_bad_revision_returns_to_the_last_good_one(tmp_path: Path) -> None:
    """An intended step that stalls undoes its revision in the same pass, and the condition says which and why."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        good = p.host.service("one").config
        p.publish(running("one", parameters={"p_restart": "bad"}))
        p.host.faults["one", "restart"] = failing(6, "p_restart must not be bad")
        p.host.calls.clear()
        end = await p.run_pass()
        assert [("one", "configure"), ("one", "restart"), ("one", "configure"), ("one", "restart")] == p.host.calls
        assert good == p.host.service("one").config
        stalled = condition(end.status, "Stalled")
        assert ("True", "RolledBack") == (stalled.status, stalled.reason)
        assert "p_restart must not be bad" in stalled.message
        assert "behind" == end.status.sync

    on_a_host(tmp_path, story)


def test_a_bad_revision_is_not_tried_again(tmp_path: Path) -> None:
    """Passes after a return do nothing, also after a restart of the puller; a newer revision is tried."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.publish(running("one"), running("new"))
        p.host.faults["new", "install"] = failing(6)
        await p.run_pass()
        p.host.calls.clear()
        p.restart()
        end = await p.run_pass()
        assert ([], "RolledBack") == (p.host.calls, condition(end.status, "Stalled").reason)
        del p.host.faults["new", "install"]
        p.publish(running("one"), running("new"))
        end = await p.run_pass()
        assert ("running", "Converged") == (p.host.service("new").state, condition(end.status, "Ready").reason)

    on_a_host(tmp_path, story)


def test_a_revision_that_fails_too_often_is_bad(tmp_path: Path) -> None:
    """A step that may pass is tried with growing patience, five times; then its revision is undone."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.publish(running("one", version="2.0"))
        p.host.faults["one", "install"] = failing(1, "no space left")
        p.host.calls.clear()
        for _ in range(60):
            end = await p.run_pass()
        # five of 2.0, and 2.0 is never asked for again
        assert 5 == p.host.calls.count(("one", "install"))
        assert "RolledBack" == condition(end.status, "Stalled").reason

    on_a_host(tmp_path, story)


def test_a_revision_under_which_a_service_does_not_come_up_is_bad(tmp_path: Path) -> None:
    """A service that dies of its new parameter is tried five times; then the old parameter is back, and it runs."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.publish(running("one", parameters={"p_restart": "taken"}))
        p.host.faults["one", "restart"] = p.host.faults["one", "start"] = failing(1, "address in use")
        await p.run_pass()
        p.host.kill("one")
        while p.host.calls.count(("one", "start")) < 5:
            p.clock.advance(600)
            await p.run_pass()
        p.host.faults.clear()
        p.clock.advance(600)
        end = await p.run_pass()
        assert "RolledBack" == condition(end.status, "Stalled").reason
        assert "running" == p.host.service("one").state

    on_a_host(tmp_path, story)


def test_the_first_document_has_nothing_to_return_to(tmp_path: Path) -> None:
    """A first document that stalls is not retried by itself; `once` tries again, and so does another document."""

    async def story(p: FakePuller) -> None:
        p.host.faults["one", "install"] = failing(6, "nonsense")
        p.publish(running("one"))
        for _ in range(5):
            end = await p.run_pass()
        assert 1 == p.host.calls.count(("one", "install"))
        assert ("StepFailed", True) == (
            condition(end.status, "Stalled").reason,
            "nonsense" in condition(end.status, "Stalled").message,
        )
        await p.run_pass(insist=True)
        assert 2 == p.host.calls.count(("one", "install"))
        del p.host.faults["one", "install"]
        p.publish(running("one"))
        end = await p.run_pass()
        assert "Converged" == condition(end.status, "Ready").reason

    on_a_host(tmp_path, story)


def test_backoff_survives_a_restart(tmp_path: Path) -> None:
    """A failed step is not tried before its time, whoever restarts the puller, and the agent is told when."""

    async def story(p: FakePuller) -> None:
        p.host.faults["one", "install"] = failing(1)
        p.publish(running("one"))
        for _ in range(4):
            await p.run_pass(insist=False)
        p.host.calls.clear()
        p.restart()
        p.clock.advance(-59)
        end = await p.run_pass()
        assert [] == p.host.calls
        assert end.next_try_s is not None

    on_a_host(tmp_path, story)


def test_a_clock_set_back_by_years_delays_nothing(tmp_path: Path) -> None:
    """A wait whose end is further away than any backoff is no wait."""

    async def story(p: FakePuller) -> None:
        p.host.faults["one", "install"] = failing(1)
        p.publish(running("one"))
        await p.run_pass()
        del p.host.faults["one", "install"]
        p.clock.wall -= timedelta(days=3650)
        await p.run_pass()
        assert "running" == p.host.service("one").state

    on_a_host(tmp_path, story)


def test_the_backend_may_be_away(tmp_path: Path) -> None:
    """With source and sink away drift is repaired, the truth is told locally, and every report arrives later, once."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.source.away = p.sink.away = True
        p.host.kill("one")
        end = await p.run_pass()
        assert "running" == p.host.service("one").state
        assert ("Unknown", "SourceUnavailable") == (
            condition(end.status, "Ready").status,
            condition(end.status, "Ready").reason,
        )
        p.source.away = p.sink.away = False
        await p.run_pass()
        assert [1, 2, 3] == sorted(report.seq for report in p.sink.reports.values())
        assert 0 == (await p.rows())["outbox"]

    on_a_host(tmp_path, story)


def test_a_package_that_cannot_be_had_is_tried_again(tmp_path: Path) -> None:
    """A download that fails backs off like a step that fails; the script is not called without its package."""

    async def story(p: FakePuller) -> None:
        artifact = p.artifacts.put(b"package")
        p.artifacts.missing[artifact.digest] = Unavailable("GET https://mirror.example/p.tar: connection refused")
        p.publish(running("one", packages={"server": package(artifact)}))
        end = await p.run_pass()
        assert [] == p.host.calls
        assert "connection refused" in condition(end.status, "Ready").message
        p.artifacts.missing.clear()
        await p.run_pass()
        assert "running" == p.host.service("one").state

    on_a_host(tmp_path, story)


def test_what_runs_is_not_stopped_for_a_package_that_is_not_here(tmp_path: Path) -> None:
    """An upgrade whose package cannot be had now leaves the old version running; it is stopped once all is here."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        artifact = p.artifacts.put(b"version 2.0")
        p.artifacts.missing[artifact.digest] = Unavailable("GET https://mirror.example/p.tar: connection refused")
        p.publish(running("one", version="2.0", packages={"server": package(artifact, "2.0")}))
        p.host.calls.clear()
        await p.run_pass()
        assert [] == p.host.calls
        assert "running" == p.host.service("one").state
        p.artifacts.missing.clear()
        await p.run_pass()
        assert ("one", "stop") == p.host.calls[0]

    on_a_host(tmp_path, story)


def test_without_the_new_scripts_the_last_good_document_is_kept_up(tmp_path: Path) -> None:
    """A new bundle that cannot be had now does not stop the healing, and the host says that it is behind."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        bundle = p.artifacts.put(b"another bundle")
        p.artifacts.missing[bundle.digest] = Unavailable("backend away")
        p.publish(running("one", version="2.0"), bundle=bundle)
        p.host.kill("one")
        p.host.calls.clear()
        end = await p.run_pass()
        assert [("one", "start")] == p.host.calls
        assert ("behind", "False") == (end.status.sync, condition(end.status, "Ready").status)

    on_a_host(tmp_path, story)


def test_a_bundle_that_is_none_makes_its_revision_bad(tmp_path: Path) -> None:
    """Scripts that cannot be unpacked need a person: the last good revision runs on."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.publish(running("one"), bundle=p.artifacts.put(b"no archive"))
        end = await p.run_pass()
        assert "RolledBack" == condition(end.status, "Stalled").reason

    on_a_host(tmp_path, story)


def test_a_script_that_cannot_look_is_never_ok(tmp_path: Path) -> None:
    """A look that fails makes the service unknown: not ready, and nothing is done out of ignorance."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.host.calls.clear()
        p.host.faults["one", "check_status"] = failing(1, "cannot read /proc")
        end = await p.run_pass()
        assert [] == p.host.calls
        assert ("False", "LookFailed") == (
            condition(end.status, "Ready").status,
            condition(end.status, "Ready").reason,
        )

    on_a_host(tmp_path, story)


def test_an_exit_code_is_not_believed(tmp_path: Path) -> None:
    """A start that says it changed something but left nothing running is not Ready: the look decides."""

    async def story(p: FakePuller) -> None:
        p.host.faults["one", "start"] = lambda _: Ended(exit_code=0, stdout=b"changed=1\n")
        p.publish(running("one"))
        end = await p.run_pass()
        assert "False" == condition(end.status, "Ready").status

    on_a_host(tmp_path, story)


def test_a_package_that_needs_a_person_makes_its_revision_bad(tmp_path: Path) -> None:
    """A package whose digest is wrong everywhere is not asked for again and again."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        artifact = p.artifacts.put(b"package")
        p.artifacts.missing[artifact.digest] = Stalled("is not what the document says")
        p.publish(running("one", packages={"server": package(artifact)}))
        end = await p.run_pass()
        assert "RolledBack" == condition(end.status, "Stalled").reason

    on_a_host(tmp_path, story)
