"""A service that runs as declared and has no record: put in place under the process, restarted only if that is due."""

import pytest
from msgspec.structs import replace

from desired_state.contract import Effect, Verb
from desired_state.diff import UNRECORDED
from desired_state.document import Service
from desired_state.plan import make_plan
from tests.core.worlds import KINDS, World, damage, document, service
from tests.core.worlds import package as package_of

THING = service()


def plan(world: World, *services: Service):
    """The plan for a document of these services."""
    doc = document(*services, revision=2)
    return make_plan(doc, world.record, world.look(doc), KINDS)


def verbs(made) -> list[str]:
    """The steps' verbs, in order."""
    return [str(step.verb) for step in made.steps]


def unrecorded(*hurt: str, was: Service = THING) -> World:
    """A host on which that service ran as declared, was hurt, and then lost its record."""
    world = World()
    world.run(document(was), make_plan(document(was), world.record, world.look(document(was)), KINDS))
    for how in (*hurt, "lose_record"):
        damage(world, was.name, how)
    return world


def test_what_runs_as_declared_is_put_on_record_without_a_stop():
    """Install and configure, both under the running process, and nothing that interrupts it."""
    made = plan(unrecorded(), THING)
    assert [("install", True, False), ("configure", True, False)] == [
        (step.verb, step.keeps_running, step.interrupts) for step in made.steps
    ]
    assert {(UNRECORDED,)} == {step.reasons for step in made.steps}


def test_nothing_changed_is_nothing_more():
    """Both steps said changed=0: the host is as declared, with the process that ran before."""
    world = unrecorded()
    before = world.pid["alpha"]
    world.run(document(THING), plan(world, THING))
    assert ((), before) == (plan(world, THING).changes, world.pid["alpha"])
    entry = world.record["alpha"]
    assert ("running", before, Effect.NONE) == (entry.state, entry.identity and entry.identity.pid, entry.pending)


@pytest.mark.parametrize("lost", ["its configuration", "its program"])
def test_a_step_that_changed_something_is_followed_by_a_restart(lost):
    """What was put in place is not what the process runs with: it waits for a restart, and the next plan has it."""
    world = unrecorded()
    if lost == "its configuration":
        damage(world, "alpha", "edit")
    else:
        del world.installed["alpha"]
    world.run(document(THING), plan(world, THING))
    assert Effect.RESTART is world.record["alpha"].pending
    made = plan(world, THING)
    assert (["restart"], True) == (verbs(made), made.steps[0].interrupts)


@pytest.mark.parametrize("cut", [1, 2])
@pytest.mark.parametrize("changes", [False, True])
def test_it_goes_on_where_it_was_cut(cut, changes):
    """A finished step is not run again, and what the first one changed is not forgotten."""
    world = unrecorded()
    if changes:
        del world.installed["alpha"]
    world.run(document(THING), plan(world, THING), steps=cut)
    expected = ["configure"][cut - 1 :] + (["restart"] if changes else [])
    assert expected == verbs(plan(world, THING))


def test_an_earlier_try_in_vain_counts_as_a_change():
    """Nobody knows what a try changed that did not end well; the one that ends well says changed=0."""
    world = unrecorded()
    world.unsure = True
    world.run(document(THING), plan(world, THING), steps=1)
    assert ["configure", "restart"] == verbs(plan(world, THING))


def test_a_step_that_stops_before_it_replaces_leaves_nothing_to_wait_for():
    """An install under nothing that runs says changed=1, and the start that follows is all that it needs."""
    world = World()
    world.run(document(THING), plan(world, THING), steps=2)
    assert ("stopped", Effect.NONE) == (world.record["alpha"].state, world.record["alpha"].pending)


@pytest.mark.parametrize(
    ("hurt", "declared"),
    [
        (("degrade",), THING),  # it may run with an earlier configuration
        ((), service(version="2.0")),
        (("other_version", "kill", "start"), THING),
        ((), service(state="stopped")),
        (("kill",), THING),
    ],
    ids=["degraded", "another-version-declared", "another-version-runs", "shall-be-stopped", "is-down"],
)
def test_anything_else_is_brought_as_ever(hurt, declared):
    """What is degraded, of another version, down, or to be stopped is stopped before it is replaced."""
    world = unrecorded(*hurt)
    made = plan(world, declared)
    stops = [] if "kill" in hurt and "start" not in hurt else ["stop"]
    starts = ["start"] if declared.state == "running" else []
    assert [*stops, "install", "configure", *starts] == verbs(made)
    assert not any(step.keeps_running for step in made.steps)


def test_after_an_uninstall_too():
    """The record says that it was removed, and it runs as declared: that is no reason to stop it either."""
    world = unrecorded()
    gone = World()
    absent = service(state="absent")
    gone.run(document(THING), plan(gone, THING))
    gone.run(document(absent), plan(gone, absent))
    world.record["alpha"] = gone.record["alpha"]
    assert ["install", "configure"] == verbs(plan(world, THING))


def test_cut_and_then_declared_otherwise():
    """After its first step, another version or another package is an upgrade as ever: stop before replace."""
    for otherwise in (service(version="2.0"), replace(THING, packages={"server": package_of("other")})):
        world = unrecorded()
        world.run(document(THING), plan(world, THING), steps=1)
        assert ["stop", "install", "configure", "start"] == verbs(plan(world, otherwise))


def test_the_agent_looks_for_itself():
    """Its restart changes nothing where the right release runs: it is in the plan as ever."""
    agent = service(kind="agent")
    made = plan(unrecorded(was=agent), agent)
    assert ["install", "configure", "restart"] == verbs(made)
    assert not any(step.keeps_running for step in made.steps)


def test_monitoring_is_wired_again():
    """What was wired is not on record either."""
    wired = service(monitoring={"exporter": True})
    assert ["install", "configure", Verb.MONITOR_TRACE] == verbs(plan(unrecorded(was=wired), wired))
