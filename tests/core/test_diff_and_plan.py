"""Each reason for a change, and the steps that it leads to."""

import pytest
from msgspec.structs import replace

from desired_state.contract import Effect, Parameter, Verb
from desired_state.document import Service
from desired_state.observed import Observation
from desired_state.plan import make_plan
from desired_state.record import AppliedSecret
from tests.core.worlds import KINDS, NOW, World, damage, document, secret, service


def converged(*services: Service) -> World:
    """A host that is as these services declare."""
    world, doc = World(), document(*services)
    world.run(doc, plan(world, *services))
    return world


def plan(world: World, *services: Service, **limits: int):
    """The plan for a document of these services."""
    doc = document(*services, revision=2, removals=limits.pop("removals", 10))
    return make_plan(doc, world.record, world.look(doc), KINDS, **limits)


def verbs(made) -> list[str]:
    """The steps' verbs, in order."""
    return [f"{step.service}:{step.verb}" for step in made.steps]


def test_first_install_is_install_configure_start():
    """A service that was never here is installed, configured and started."""
    assert verbs(plan(World(), service())) == ["alpha:install", "alpha:configure", "alpha:start"]


def test_upgrade_stops_before_it_replaces():
    """Another version: stop before replace."""
    made = plan(converged(service()), service(version="2.0"))
    assert verbs(made) == ["alpha:stop", "alpha:install", "alpha:configure", "alpha:start"]
    assert {step.intent for step in made.steps} == {"intended"}
    assert made.steps[0].reasons[0] == "version 1.0 -> 2.0"


@pytest.mark.parametrize(
    ("parameter", "last"),
    [("p_none", "configure"), ("p_reload", "reload"), ("p_restart", "restart")],
)
def test_a_changed_parameter_needs_what_meta_says(parameter, last):
    """A parameter change configures, then reloads, restarts or does nothing more."""
    made = plan(converged(service()), service(parameters={parameter: "9"}))
    assert verbs(made)[-1] == f"alpha:{last}"


def test_a_parameter_that_newer_scripts_have_and_nobody_sets_is_no_change():
    """A new bundle alone changes no service: empty is what it was when nobody knew the parameter."""
    world, thing = converged(service()), KINDS["thing"]
    newer = replace(thing, parameters=(*thing.parameters, Parameter(name="new", type="port")))
    doc = document(service(), revision=2)
    assert () == make_plan(doc, world.record, world.look(doc), {**KINDS, "thing": newer}).steps


SECRET_1, SECRET_2, OTHER = secret(), secret(2), secret(name="other", version=7)


@pytest.mark.parametrize(
    ("was", "now", "reason"),
    [
        ({"password": SECRET_1}, {"password": SECRET_2}, "secret password: version 1 -> 2"),
        ({}, {"password": SECRET_1}, "secret password: (not set) -> main v1"),
        ({"password": SECRET_1}, {"password": OTHER}, "secret password: main v1 -> other v7"),
        ({"password": SECRET_1}, {}, "secret password: main v1 -> (not set)"),
    ],
)
def test_another_version_of_a_secret_is_a_change(was, now, reason):
    """It configures, and has the effect of its parameter; the reason names versions, never what was sealed."""
    made = plan(converged(service(secrets=was)), service(secrets=now))
    assert ["alpha:configure", "alpha:restart"] == verbs(made)
    assert {(reason,)} == {step.reasons for step in made.steps}


def test_a_secret_that_was_sealed_anew_is_no_change():
    """The host was enrolled anew, and the value is the same."""
    again = secret(sealed="YW5ldw==")
    assert () == plan(converged(service(secrets={"password": SECRET_1})), service(secrets={"password": again})).changes


def test_the_record_has_versions_of_secrets_and_nothing_else():
    """What was sealed is not copied into it."""
    world = converged(service(secrets={"password": SECRET_1}))
    assert {"password": AppliedSecret(name="main", version=1)} == world.record["alpha"].secrets


def test_a_kind_without_reload_restarts_by_stop_and_start():
    """Where a kind knows neither reload nor restart, stop and start do it."""
    made = plan(converged(service(kind="plain")), service(kind="plain", parameters={"p_reload": "9"}))
    assert verbs(made) == ["alpha:configure", "alpha:stop", "alpha:start"]


AGENT = service(kind="agent")
NEWER = service(kind="agent", version="2.0")


def test_a_kind_that_lies_side_by_side_is_upgraded_without_a_stop():
    """What runs goes on until the restart that changes over."""
    assert ["alpha:install", "alpha:configure", "alpha:restart"] == verbs(plan(converged(AGENT), NEWER))


def test_a_kind_that_lies_side_by_side_and_is_down_is_started():
    """Where nothing runs there is nothing to restart."""
    world = converged(AGENT)
    damage(world, "alpha", "kill")
    assert ["alpha:install", "alpha:configure", "alpha:start"] == verbs(plan(world, NEWER))


def test_a_kind_that_lies_side_by_side_is_stopped_where_it_shall_be_stopped():
    """Side by side is a way to upgrade what goes on running, and nothing else."""
    stopped = service(kind="agent", version="2.0", state="stopped")
    assert ["alpha:stop", "alpha:install", "alpha:configure"] == verbs(plan(converged(AGENT), stopped))


def test_what_runs_already_comes_under_the_record_without_a_stop():
    """An agent that somebody installed by hand has no record yet: it is installed beside itself, and restarted."""
    world = converged(AGENT)
    damage(world, "alpha", "lose_record")
    assert ["alpha:install", "alpha:configure", "alpha:restart"] == verbs(plan(world, AGENT))


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_an_upgrade_side_by_side_that_was_cut_goes_on_where_it_was(cut, lost):
    """What was done is not done again: the older process that still runs is no reason to install the newer twice."""
    world = converged(AGENT)
    if lost:
        damage(world, "alpha", "lose_record")
    world.run(document(NEWER, revision=2), plan(world, NEWER), steps=cut)
    assert ["alpha:install", "alpha:configure", "alpha:restart"][cut:] == verbs(plan(world, NEWER))


def test_an_upgrade_that_undid_itself_is_drift():
    """The record says the newer version and the older one runs: a correction, and nothing that somebody asked for."""
    world = converged(NEWER)
    world.version["alpha"] = "1.0"
    made = plan(world, NEWER)
    assert ["alpha:install", "alpha:configure", "alpha:restart"] == verbs(made)
    assert {"corrective"} == {step.intent for step in made.steps}


def test_the_agent_comes_last_but_for_what_needs_it():
    """Its restart ends the puller: whatever does not wait for it is done before."""
    world = converged(service("gone"), service("went"))
    made = plan(
        world,
        service("a-agent", kind="agent"),
        service("b-needs-it", depends_on=("a-agent",)),
        service("c-alone"),
        service("gone", state="absent"),
    )
    assert ["c-alone", "a-agent", "b-needs-it", "gone"] == list(dict.fromkeys(step.service for step in made.steps))


def test_removals_do_not_wait_for_the_agent():
    """They are done by the puller that runs; the agent's own steps come after them."""
    made = plan(converged(service("gone")), service("a-agent", kind="agent"), service("gone", state="absent"))
    assert ["gone", "a-agent"] == list(dict.fromkeys(step.service for step in made.steps))
    assert () == made.steps[0].after


def test_the_default_written_out_is_no_change():
    """A parameter said to be what it is by default changes nothing."""
    assert plan(converged(service()), service(parameters={"p_restart": 0})).steps == ()


@pytest.mark.parametrize(
    ("how", "expected", "reason"),
    [
        ("kill", ["alpha:start"], "stopped by itself or by somebody and shall run"),
        ("edit", ["alpha:configure", "alpha:reload"], "its configuration was edited by hand"),
        ("remove", ["alpha:install", "alpha:configure", "alpha:start"], "its program is gone"),
        (
            "other_version",
            ["alpha:stop", "alpha:install", "alpha:configure", "alpha:start"],
            "version 0.9 is here, 1.0 was applied",
        ),
    ],
)
def test_drift_is_repaired_and_told_apart(how, expected, reason):
    """What nobody asked for is corrective, with its reason."""
    world = converged(service())
    damage(world, "alpha", how)
    made = plan(world, service())
    assert verbs(made) == expected
    assert {step.intent for step in made.steps} == {"corrective"}
    assert reason in made.steps[0].reasons


def test_an_edited_file_that_another_process_has_read_needs_a_restart():
    """A process that is not the one we left may have read the wrong file."""
    world = converged(service())
    damage(world, "alpha", "edit")
    world.pid["alpha"] += 1000
    assert verbs(plan(world, service())) == ["alpha:configure", "alpha:restart"]


def test_a_degraded_service_is_left_running():
    """Degraded is told, not restarted."""
    world = converged(service())
    damage(world, "alpha", "degrade")
    assert plan(world, service()).steps == ()


def test_dependencies_come_first():
    """Whoever is depended on is up before."""
    made = plan(World(), service("alpha", depends_on=("beta",)), service("beta"))
    assert [step.service for step in made.steps] == ["beta"] * 3 + ["alpha"] * 3
    assert made.steps[2].id in made.steps[3].after


def test_independent_services_wait_for_nobody():
    """Steps of services that know nothing of each other may run side by side."""
    made = plan(World(), service("alpha"), service("beta"))
    assert [step.after for step in made.steps if step.verb is Verb.INSTALL] == [(), ()]


def test_what_stops_goes_before_what_it_stood_on():
    """A dependent is stopped before its dependency."""
    both = (service("alpha"), service("beta", depends_on=("alpha",)))
    stopped = (service("alpha", state="stopped"), service("beta", depends_on=("alpha",), state="stopped"))
    assert verbs(plan(converged(*both), *stopped)) == ["beta:stop", "alpha:stop"]


def test_removals_come_last_and_wait_for_the_rest():
    """Something is removed only after everything else went well."""
    world = converged(service("alpha"), service("beta"))
    made = plan(world, service("alpha", state="absent"), service("beta", version="2.0"))
    assert verbs(made)[-2:] == ["alpha:stop", "alpha:uninstall"]
    assert made.steps[3].id in made.steps[-2].after


def test_removals_above_the_limit_are_held_together():
    """Too many removals: none is done, and the reason says how to confirm."""
    names = ("alpha", "beta", "gamma")
    world = converged(*(service(name) for name in names))
    gone = [service(name, state="absent") for name in names]
    made = plan(world, *gone, removals=2)
    assert made.steps == ()
    assert [hold.service for hold in made.held] == list(names)
    assert "--allow-removals 3" in made.held[0].reason
    assert len(plan(world, *gone, removals=2, allow_removals=3).steps) == 6


def test_uninstall_keeps_data_until_purge_says_otherwise():
    """absent uninstalls; only purge, now or later, deletes data; and once."""
    world = converged(service())
    world.run(document(service(state="absent")), plan(world, service(state="absent")))
    assert world.data == {"alpha"}
    purge = service(state="absent", purge=True)
    made = plan(world, purge)
    assert (verbs(made), made.steps[0].destroys) == (["alpha:purge"], True)
    world.run(document(purge), made)
    assert (world.data, plan(world, purge).steps) == (set(), ())


def test_a_running_process_is_taken_over_by_one_step_that_interrupts_nothing():
    """Take-over is one call, and nothing restarts."""
    made = plan(World(), service(state="adopted"))
    assert (verbs(made), made.steps[0].interrupts) == (["alpha:take_over"], False)


def test_an_adopted_service_that_shall_be_installed_has_its_first_restart():
    """The first change that somebody asks for is its first restart."""
    world = converged(service(state="adopted"))
    made = plan(world, service())
    assert verbs(made) == ["alpha:stop", "alpha:install", "alpha:configure", "alpha:start"]


def test_an_adopted_service_that_died_is_started():
    """Adopted, it is looked after like any other."""
    world = converged(service(state="adopted"))
    damage(world, "alpha", "kill")
    assert verbs(plan(world, service(state="adopted"))) == ["alpha:start"]


def test_an_adopted_service_that_shall_be_absent_is_given_back():
    """What was not ours is given back as it runs."""
    world = converged(service(state="adopted"))
    assert verbs(plan(world, service(state="absent"))) == ["alpha:release"]


def test_nothing_is_done_to_what_nobody_could_look_at():
    """Unknown is a state, and never a reason to act."""
    doc = document(service())
    seen = {"alpha": Observation(service="alpha", state="unknown", seen_at=NOW, reason="script not found")}
    made = make_plan(doc, {}, seen, KINDS)
    assert made.steps == ()
    assert made.held[0].reason == "nobody could look at it: script not found"


def test_a_kind_that_changed_is_held():
    """A service cannot become another kind in place."""
    made = plan(converged(service()), service(kind="plain"))
    assert made.steps == ()
    assert "declare it absent first" in made.held[0].reason


def test_the_same_intent_has_the_same_id_until_it_is_done():
    """A step's id survives restarts; a second repair of the same damage is another step."""
    world = converged(service())
    damage(world, "alpha", "kill")
    first = plan(world, service()).steps[0].id
    assert plan(world, service()).steps[0].id == first
    world.run(document(service()), plan(world, service()))
    damage(world, "alpha", "kill")
    assert plan(world, service()).steps[0].id != first


def test_a_restart_that_was_not_reached_is_still_owed():
    """Cut between configure and restart, the next plan restarts."""
    world = converged(service())
    changed = service(parameters={"p_restart": "9"})
    world.run(document(changed), plan(world, changed), steps=1)
    assert world.record["alpha"].pending is Effect.RESTART
    assert verbs(plan(world, changed)) == ["alpha:restart"]


def test_a_service_that_did_not_survive_its_restart_is_no_drift():
    """Down with a configuration that was never in force: that start was asked for, so a revision can be blamed."""
    world = converged(service())
    changed = service(parameters={"p_restart": "9"})
    world.run(document(changed), plan(world, changed), steps=1)
    damage(world, "alpha", "kill")
    made = plan(world, changed)
    assert verbs(made) == ["alpha:start"]
    assert {"intended"} == {step.intent for step in made.steps}
