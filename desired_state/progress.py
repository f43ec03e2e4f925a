"""The record after a step that was done, and after a look that confirmed it."""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from desired_state.answer import Answer, identity_of
from desired_state.contract import Effect, KindMeta, Verb
from desired_state.diff import UP, strongest
from desired_state.document import Service, State
from desired_state.names import Revision
from desired_state.observed import Observation
from desired_state.parameters import with_defaults
from desired_state.record import AppliedSecret, Recorded
from desired_state.step import Step


def after_step(
    before: Recorded | None,
    step: Step,
    *,
    wanted: Service,
    meta: KindMeta,
    answer: Answer,
    revision: Revision,
    at: datetime,
    unsure: bool = False,
) -> Recorded:
    """What the record says once this step is done. Pure: the store writes it in the transaction that ends the step.

    `unsure`: an earlier try ran and did not end well, so that what it changed the answer of this one does not say.
    """
    old = before or Recorded(name=wanted.name, kind=wanted.kind, version=wanted.version, state="absent")
    done = replace(old, generation=old.generation + 1, revision=revision, applied_at=at)
    if step.keeps_running and (unsure or answer.changed is not False):
        step = replace(step, leaves=Effect.RESTART)
    return replace(done, **_fields(done, step, wanted, meta, answer))


def _fields(  # noqa: C901, PLR0911 - one case a verb, side by side
    old: Recorded, step: Step, wanted: Service, meta: KindMeta, answer: Answer
) -> dict[str, object]:
    match step.verb:
        case Verb.INSTALL:
            return {
                "kind": wanted.kind,
                "version": wanted.version,
                "packages": {role: package.digest for role, package in wanted.packages.items()},
                "adopted": False,
                "state": _state_installed(old, step),
                "holds_data": old.holds_data or meta.holds_data,
                "pending": strongest([old.pending, step.leaves]),
                "config": "",  # the configuration on disk is another program's until `configure` ran for this one
            }
        case Verb.CONFIGURE:
            return {
                "parameters": with_defaults(wanted.parameters, meta),
                "secrets": {p: AppliedSecret(name=s.name, version=s.version) for p, s in wanted.secrets.items()},
                "config": answer.fact("config"),
                "pending": strongest([old.pending, step.leaves]),
            }
        case Verb.START | Verb.RESTART:
            return {"state": "running", "pending": Effect.NONE, "identity": identity_of(answer) or old.identity}
        case Verb.RELOAD:
            return {"pending": Effect.NONE}
        case Verb.STOP:
            return {"state": "stopped", "pending": Effect.NONE, "identity": None}
        case Verb.TAKE_OVER:
            return {
                "kind": wanted.kind,
                "version": wanted.version,
                "adopted": True,
                "state": "running",
                "identity": identity_of(answer),
                "packages": {},
                "config": "",
            }
        case Verb.RELEASE:
            return {"adopted": False, "state": "absent", "identity": None}
        case Verb.UNINSTALL:
            return {
                "state": "absent",
                "identity": None,
                "pending": Effect.NONE,
                "config": "",
                "packages": {},
                "parameters": {},
                "secrets": {},
                "monitoring": {},
            }
        case Verb.PURGE:
            return {"holds_data": False}
        case Verb.MONITOR_TRACE:
            return {"monitoring": dict(wanted.monitoring)}
        case _:
            return {}


def _state_installed(old: Recorded, step: Step) -> State:
    if step.keeps_running:
        return "running"
    return "stopped" if old.state == "absent" or old.adopted else old.state


def after_look(recorded: Recorded, seen: Observation) -> Recorded:
    """The record with the process that was seen: systemd, or somebody, may have restarted it; that is no change."""
    if recorded.state != "running" or seen.state not in UP or seen.identity is None:
        return recorded
    return recorded if seen.identity == recorded.identity else msgspec.structs.replace(recorded, identity=seen.identity)
