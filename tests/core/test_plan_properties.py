"""What must hold for every document, every record and every damage."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from desired_state.contract import Verb
from desired_state.diff import diff
from desired_state.document import Document
from desired_state.plan import make_plan
from tests.core.worlds import DAMAGES, KINDS, NAMES, World, damage, documents

damages = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(DAMAGES)), max_size=4)
some = settings(max_examples=200, deadline=None)


def plan_of(world: World, doc: Document):
    """The plan that a pass would make now."""
    return make_plan(doc, world.record, world.look(doc), KINDS)


def differences(world: World, doc: Document):
    """The changes that a look would find now."""
    return diff(doc, world.record, world.look(doc), KINDS)


def reach(world: World, doc: Document) -> None:
    """Runs the plan; and once more for those alone whose steps under a running process changed something."""
    plan = plan_of(world, doc)
    world.run(doc, plan)
    kept = {step.service for step in plan.steps if step.keeps_running}
    assert {change.service for change in differences(world, doc)} <= kept
    assert {change.field for change in differences(world, doc)} <= {"pending"}
    world.run(doc, plan_of(world, doc))
    assert differences(world, doc) == ()


@some
@given(documents(1), damages, documents(2), damages)
def test_applying_the_plan_of_the_diff_reaches_desired(first, before, second, after):
    """From any state that a host can be in, one plan leads to the document, but for restarts that turn out as due."""
    world = World()
    for doc, hurt in ((first, before), (second, after)):
        reach(world, doc)
        for name, how in hurt:
            damage(world, name, how)
    reach(world, second)
    up = {name for name, state in world.state.items() if state in ("running", "degraded")}
    assert {s.name for s in second.services if s.state == "running"} <= up
    assert not {s.name for s in second.services if s.state != "running"} & up


@some
@given(documents())
def test_the_plan_of_in_sync_is_empty(doc):
    """A host that is as declared has nothing to do."""
    world = World()
    world.run(doc, plan_of(world, doc))
    plan = plan_of(world, doc)
    assert (plan.changes, plan.steps, plan.held) == ((), (), ())


@some
@given(documents(1), documents(2), damages, st.integers(min_value=0, max_value=12))
def test_a_plan_cut_anywhere_is_continued_to_the_same_end(first, second, hurt, cut):
    """Whatever was done of a plan, the next pass's plan does the rest."""
    world = World()
    world.run(first, plan_of(world, first))
    for name, how in hurt:
        damage(world, name, how)
    world.run(second, plan_of(world, second), steps=cut)
    reach(world, second)


@some
@given(documents(1), st.lists(st.sampled_from(NAMES)), st.lists(st.integers(min_value=1, max_value=6), max_size=4))
def test_a_lost_record_restarts_nothing(doc, lost, cuts):
    """What runs as declared is put on record as it runs, however often that is cut off: the same processes run on."""
    world = World()
    world.run(doc, plan_of(world, doc))
    before = dict(world.pid)
    for name in lost:
        damage(world, name, "lose_record")
    for cut in cuts:
        world.run(doc, plan_of(world, doc), steps=cut)
    reach(world, doc)
    agents = {service.name for service in doc.services if service.kind == "agent"}
    assert {n: p for n, p in before.items() if n not in agents} == {
        n: p for n, p in world.pid.items() if n not in agents
    }


@some
@given(documents(1), documents(2), damages)
def test_what_lost_its_record_runs_with_what_is_declared(first, second, hurt):
    """Whatever else happened to it: a process that has another configuration than the one in place is restarted."""
    world = World()
    reach(world, first)
    for name, how in hurt:
        damage(world, name, how)
    for name in NAMES:
        damage(world, name, "lose_record")
    kept = {step.service for step in plan_of(world, second).steps if step.keeps_running}
    honest = {name for name in kept if world.runs_with[name] == world.config.get(name)}
    reach(world, second)
    assert {n: world.config[n] for n in honest} == {n: world.runs_with[n] for n in honest}


@some
@given(documents(1), damages, st.randoms(use_true_random=False))
def test_order_of_input_does_not_matter(doc, hurt, rng: random.Random):
    """Record and observations are maps; in whatever order they come, the plan is the same."""
    world = World()
    world.run(doc, plan_of(world, doc))
    for name, how in hurt:
        damage(world, name, how)
    record, seen = list(world.record.items()), list(world.look(doc).items())
    rng.shuffle(record)
    rng.shuffle(seen)
    assert make_plan(doc, dict(record), dict(seen), KINDS) == plan_of(world, doc)


@some
@given(documents(1), documents(2))
def test_every_step_comes_after_what_it_waits_for(first, second):
    """The order of the list respects `after`; removals come last, and after them the agent and what waits for it."""
    world = World()
    world.run(first, plan_of(world, first))
    plan = plan_of(world, second)
    done: set[str] = set()
    late: set[str] = set()
    for step in plan.steps:
        assert set(step.after) <= done
        done.add(step.id)
        if step.kind == "agent" or late.intersection(step.after):
            late.add(step.id)
    early = [step for step in plan.steps if step.id not in late]
    kinds = [step.removes for step in early if step.verb is not Verb.STOP]
    assert kinds == sorted(kinds)
    assert tuple(early) == plan.steps[: len(early)]


@some
@given(documents(1), documents(2))
def test_absence_is_never_an_order_to_delete(first, second):
    """No step touches a service that the document does not name."""
    world = World()
    world.run(first, plan_of(world, first))
    named = {s.name for s in second.services}
    assert {step.service for step in plan_of(world, second).steps} <= named


@some
@given(documents(1), documents(2), damages)
def test_data_is_deleted_only_by_its_own_word(first, second, hurt):
    """A purge is planned for services only whose document says purge."""
    world = World()
    world.run(first, plan_of(world, first))
    for name, how in hurt:
        damage(world, name, how)
    purging = {step.service for step in plan_of(world, second).steps if step.destroys}
    assert purging <= {s.name for s in second.services if s.purge}
