"""Everything goes, on the word of a person on the host: what that word can do, and what it cannot."""

from hypothesis import given, settings
from hypothesis import strategies as st

from desired_state import acceptance
from desired_state.contract import Verb
from desired_state.plan import make_plan
from desired_state.withdrawal import Withdrawal, Withdrawn, data_that_stays, withdrawn, withdrawn_digest
from tests.core.publisher import HOST, NOW, note_of, trust_of
from tests.core.worlds import DAMAGES, KINDS, NAMES, World, damage, document, documents, service

damages = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(DAMAGES)), max_size=4)
orders = st.builds(Withdrawal, purge_data=st.booleans())
some = settings(max_examples=150, deadline=None)


def converged(doc) -> World:
    """A host that is as that document declares."""
    world = World()
    world.run(doc, make_plan(doc, world.record, world.look(doc), KINDS))
    return world


def plan_of(world: World, doc, order: Withdrawal):
    """The document under the order, and its plan."""
    under = withdrawn(doc, order, world.record)
    return under, make_plan(under, world.record, world.look(under), KINDS)


@some
@given(documents(1), documents(2), damages, orders)
def test_nothing_is_left_but_the_agent(first, second, hurt, order):
    """From any state, whatever the document says now: one plan, and no service of ours is here. The agent runs on."""
    world = converged(first)
    for name, how in hurt:
        damage(world, name, how)
    agent_before = (world.state.get("beta"), world.pid.get("beta"))
    under, plan = plan_of(world, second, order)
    world.run(under, plan)
    left = {name for name, entry in world.record.items() if entry.state != "absent"} - {"beta"}
    assert (set(), agent_before) == (left, (world.state.get("beta"), world.pid.get("beta")))
    assert () == plan_of(world, second, order)[1].changes


@some
@given(documents(1), documents(2), orders)
def test_it_can_only_take_away(first, second, order):
    """No step of its plan brings, starts or changes anything."""
    plan = plan_of(converged(first), second, order)[1]
    assert {step.verb for step in plan.steps} <= {Verb.STOP, Verb.UNINSTALL, Verb.PURGE, Verb.RELEASE}


@some
@given(documents(1), damages)
def test_data_stays_without_its_word(first, hurt):
    """No purge, unless the document itself has ordered it of that service; and what stays is told."""
    world = converged(first)
    for name, how in hurt:
        damage(world, name, how)
    under, plan = plan_of(world, first, Withdrawal())
    ordered = {s.name for s in first.services if s.purge}
    assert {step.service for step in plan.steps if step.destroys} <= ordered
    world.run(under, plan)
    told = set(data_that_stays(world.record, Withdrawal()))
    assert {name for name, entry in world.record.items() if entry.holds_data} - {"beta"} == told


def test_data_goes_with_its_word():
    """Also that of a service whose program went long ago and that is not in the document any more."""
    world = converged(document(service("alpha"), service("gamma", kind="plain")))
    gone = document(service("gamma", kind="plain", state="absent"), revision=2)
    world.run(gone, make_plan(gone, world.record, world.look(gone), KINDS))
    under, plan = plan_of(world, document(service("alpha")), Withdrawal(purge_data=True))
    assert ["alpha:stop", "alpha:uninstall", "alpha:purge", "gamma:purge"] == [
        f"{step.service}:{step.verb}" for step in plan.steps
    ]
    world.run(under, plan)
    assert (set(), ()) == (world.data, data_that_stays(world.record, Withdrawal(purge_data=True)))


def test_dependents_go_first():
    """What stands on something is removed before it."""
    doc = document(service("alpha"), service("gamma", kind="plain", depends_on=("alpha",)))
    plan = plan_of(converged(doc), doc, Withdrawal())[1]
    assert ["gamma", "alpha"] == list(dict.fromkeys(step.service for step in plan.steps))


def test_above_the_limit_all_are_held():
    """The limit of the document holds, and the words name the command that confirms it."""
    doc = document(service("alpha"), service("gamma", kind="plain"), removals=1)
    world = converged(doc)
    under = withdrawn(doc, Withdrawal(), world.record)
    plan = make_plan(under, world.record, world.look(under), KINDS, command="withdraw")
    assert ((), {"alpha", "gamma"}) == (plan.steps, {hold.service for hold in plan.held})
    assert "towline-puller withdraw --allow-removals 2" in plan.held[0].reason


def test_what_shall_become_another_kind_is_removed_as_what_it_is():
    """The script of the kind that is here takes it away."""
    world = converged(document(service("alpha")))
    plan = plan_of(world, document(service("alpha", kind="plain"), revision=2), Withdrawal())[1]
    assert (["thing", "thing"], ()) == ([step.kind for step in plan.steps], plan.held)


def test_what_was_taken_over_is_given_back():
    """A process that was somebody else's is released as it runs."""
    world = World()
    world.state["alpha"], world.pid["alpha"] = "running", 7
    doc = document(service("alpha", state="adopted"))
    world.run(doc, make_plan(doc, world.record, world.look(doc), KINDS))
    assert ["release"] == [str(step.verb) for step in plan_of(world, doc, Withdrawal(purge_data=True))[1].steps]


def test_it_stands_on_an_accepted_document_and_is_none():
    """Nothing that it makes passes for a document that somebody signed; its digest is its own."""
    accepted = acceptance.accept(note_of(), trust=trust_of(), host=HOST, ratchet=None, now=NOW)
    assert isinstance(accepted, acceptance.Accepted)
    made = Withdrawn(accepted, Withdrawal(), {})
    assert not isinstance(made, acceptance.Accepted)
    digests = {accepted.digest, *(withdrawn_digest(accepted.digest, Withdrawal(purge_data=p)) for p in (False, True))}
    assert (3, True) == (len(digests), made.digest in digests)
