"""Green means green: Ready is True in one case only."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desired_state.outcome import REASONS, Evidence, conditions, health_of, sync_of
from desired_state.plan import make_plan
from tests.core.worlds import KINDS, NOW, World, damage, document, service


def evidence(world: World, *services, **fields) -> Evidence:
    """What a pass over this world would know at its end."""
    doc = document(*services)
    seen = world.look(doc)
    plan = make_plan(doc, world.record, seen, KINDS)
    given = {"document": doc, "plan": plan, "record": world.record, "observed": seen, "mode": "enforce", "now": NOW}
    return Evidence(**{**given, **fields})


def converged() -> World:
    """A host with one service, as declared."""
    world, doc = World(), document(service())
    world.run(doc, make_plan(doc, {}, world.look(doc), KINDS))
    return world


def ready(e: Evidence):
    """Status and reason of Ready."""
    found = next(c for c in conditions(e) if c.type == "Ready")
    return found.status, found.reason


def test_converged_is_ready():
    """Applied, verified, healthy, nothing in the way."""
    assert ready(evidence(converged(), service())) == ("True", "Converged")
    assert sync_of(evidence(converged(), service())) == "synced"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"document": None}, ("False", "NoDocument")),
        ({"mode": "suspended"}, ("False", "SuspendedByDocument")),
        ({"mode": "suspended", "suspended_locally": "maintenance"}, ("False", "SuspendedLocally")),
        (
            {"refused": "is of revision 3, 5 was accepted", "refused_reason": "RevisionOld"},
            ("False", "DocumentRefused"),
        ),
        ({"expired": "expired yesterday"}, ("False", "DocumentExpired")),
        ({"rolled_back": "revision 2 failed"}, ("False", "RolledBack")),
        ({"stalled": ("alpha start: no such port",)}, ("False", "StepFailed")),
        ({"retrying": ("alpha start: busy",)}, ("False", "StepFailed")),
        ({"withdrawn": "by an operator"}, ("False", "Withdrawn")),
        ({"plan": None}, ("Unknown", "LookFailed")),
        ({"unavailable": "git.example did not answer"}, ("Unknown", "SourceUnavailable")),
    ],
)
def test_whatever_is_in_the_way_is_said(fields, expected):
    """One obstacle is enough, and it is named."""
    assert ready(evidence(converged(), service(), **fields)) == expected


def test_drift_that_audit_leaves_is_said():
    """Audit changes nothing and is not green over drift."""
    world = converged()
    damage(world, "alpha", "kill")
    e = evidence(world, service(), mode="audit")
    assert (sync_of(e), ready(e)) == ("drifted", ("False", "Drifted"))


def test_a_newer_revision_that_is_not_reached_is_behind():
    """What somebody asked for and is not there yet is told apart from drift, also where both are."""
    world = converged()
    damage(world, "alpha", "kill")
    assert sync_of(evidence(world, service(parameters={"p_none": "9"}))) == "behind"


def test_degraded_is_not_ready():
    """In sync is not healthy."""
    world = converged()
    damage(world, "alpha", "degrade")
    e = evidence(world, service())
    assert (sync_of(e), health_of(e), ready(e)) == ("synced", "degraded", ("False", "ServiceDegraded"))


def test_since_stands_still_while_nothing_changes():
    """A condition's since is the moment of its last change, not of the last pass."""
    first = conditions(evidence(converged(), service()))
    later = evidence(converged(), service(), now=NOW + timedelta(hours=1), previous=first)
    assert conditions(later) == first


@given(
    st.fixed_dictionaries(
        {
            "mode": st.sampled_from(["enforce", "audit", "suspended"]),
            "refused": st.sampled_from(["", "x"]),
            "unavailable": st.sampled_from(["", "x"]),
            "expired": st.sampled_from(["", "x"]),
            "rolled_back": st.sampled_from(["", "x"]),
            "stalled": st.sampled_from([(), ("x",)]),
            "retrying": st.sampled_from([(), ("x",)]),
        }
    ),
    st.sampled_from(["", "kill", "edit", "degrade", "remove"]),
)
def test_green_implies_everything(fields, how):
    """Ready=True is never said while anything is in the way, and every reason is of the closed set."""
    world = converged()
    damage(world, "alpha", how)
    e = evidence(world, service(), **fields)
    assert {c.reason for c in conditions(e)} <= REASONS.keys()
    if ready(e)[0] == "True":
        assert how == ""
        assert fields["mode"] != "suspended"
        assert not any(value for name, value in fields.items() if name != "mode")
