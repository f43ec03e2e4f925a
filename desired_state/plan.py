"""Changes -> ordered steps. The same pure plan is shown in review, printed by `towline plan`, and run on the host.

Order: a service's own steps follow one another (stop before replace); what runs comes after what it depends on; what
stops comes before it; removals come last, all together or not at all: above the document's limit they are held. The
agent comes after all of them, but for what depends on it: its restart ends the puller that carries the plan out.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256

import msgspec
from msgspec import Struct

from desired_state.change import Change, Intent
from desired_state.contract import Effect, KindMeta, Verb
from desired_state.diff import UP, diff, keeps_running, strongest
from desired_state.document import Document, Service
from desired_state.names import AGENT_KIND, Digest
from desired_state.observed import Observed
from desired_state.record import Record, Recorded
from desired_state.step import Held, Plan, Step

REMOVING = frozenset({Verb.UNINSTALL, Verb.PURGE})
_INTERRUPTING = frozenset({Verb.STOP, Verb.RESTART})


class _Situation(Struct, frozen=True, kw_only=True):
    """One service that has changes, with all that its steps depend on."""

    wanted: Service
    recorded: Recorded | None
    up: bool
    keeps: bool
    """Nothing of it is stopped or restarted, but by what its steps find changed."""
    meta: KindMeta
    changes: tuple[Change, ...]

    def has(self, *aspects: str) -> bool:
        return any(change.aspect in aspects for change in self.changes)

    @property
    def wires_monitoring(self) -> bool:
        """A service that is brought here anew is wired anew."""
        wired = self.recorded.monitoring if self.recorded else {}
        return self.meta.has(Verb.MONITOR_TRACE) and bool(self.wanted.monitoring or wired)

    @property
    def beside(self) -> bool:
        """It goes on running while another program is put beside its own; a restart changes over."""
        adopted = self.recorded is not None and self.recorded.adopted  # no program of ours runs yet
        return self.meta.side_by_side and self.up and self.wanted.state == "running" and not adopted

    @property
    def installs(self) -> bool:
        return self.has("presence", "version", "package")

    def leaves(self, verb: Verb) -> Effect:
        """What the running process still waits for after that step."""
        if self.keeps:
            return Effect.NONE
        if self.installs:
            return Effect.RESTART if self.beside and verb in (Verb.INSTALL, Verb.CONFIGURE) else Effect.NONE
        return self.effect if self.up and verb is Verb.CONFIGURE else Effect.NONE

    @property
    def effect(self) -> Effect:
        return strongest([change.effect for change in self.changes])


def make_plan(
    document: Document,
    record: Record,
    observed: Observed,
    kinds: Mapping[str, KindMeta],
    *,
    allow_removals: int | None = None,
    command: str = "once",
) -> Plan:
    """What brings this host to its document. `allow_removals` overrides the document's limit, for this one plan;
    `command` is where a person says it."""
    changes = diff(document, record, observed, kinds)
    situations = [
        _Situation(
            wanted=wanted,
            recorded=record.get(wanted.name),
            up=observed[wanted.name].state in UP,
            # The agent's restart looks for itself whether another release is due.
            keeps=not _is_agent(wanted) and keeps_running(wanted, record.get(wanted.name), observed[wanted.name]),
            meta=kinds[wanted.kind],
            changes=mine,
        )
        for wanted in document.services
        if (mine := tuple(c for c in changes if c.service == wanted.name))
    ]
    held = list(_not_plannable(document, observed, kinds, situations))
    blocked = {hold.service for hold in held}
    chains = {s.wanted.name: _chain(document, s) for s in situations if s.wanted.name not in blocked}
    limit = document.limits.removals if allow_removals is None else allow_removals
    removals = [name for name, chain in chains.items() if any(step.removes for step in chain)]
    if len(removals) > limit:
        held += [_held_removal(name, len(removals), limit, command) for name in removals]
        for name in removals:
            del chains[name]
    return Plan(revision=document.revision, changes=changes, steps=_ordered(document, chains), held=tuple(held))


def _not_plannable(
    document: Document, observed: Observed, kinds: Mapping[str, KindMeta], situations: list[_Situation]
) -> Iterator[Held]:
    for wanted in document.services:
        if wanted.kind not in kinds:
            reason = f"the bundle that the document pins has no script of kind {wanted.kind} that this agent can read"
            yield Held(service=wanted.name, verb=Verb.CHECK_STATUS, reason=reason)
        elif wanted.name not in observed or observed[wanted.name].state == "unknown":
            seen = observed.get(wanted.name)
            reason = "nobody could look at it" + (f": {seen.reason}" if seen and seen.reason else "")
            yield Held(service=wanted.name, verb=Verb.CHECK_STATUS, reason=reason)
    for situation in situations:
        if situation.has("kind"):
            yield Held(service=situation.wanted.name, verb=Verb.INSTALL, reason=situation.changes[0].reason)


def _held_removal(name: str, count: int, limit: int, command: str) -> Held:
    reason = (
        f"{count} services would be removed and the limit is {limit}: raise limits.removals of the host, "
        f"or confirm on it with: towline-puller {command} --allow-removals {count}"
    )
    return Held(service=name, verb=Verb.UNINSTALL, reason=reason)


def _verbs(s: _Situation) -> Iterator[Verb]:
    """The calls that one service needs, in their order."""
    if s.wanted.state == "absent":
        yield from _taking_away(s)
    elif s.has("adoption"):
        yield Verb.TAKE_OVER
    else:
        yield from _bringing(s)


def _taking_away(s: _Situation) -> Iterator[Verb]:
    if s.has("adoption"):
        yield Verb.RELEASE
    if s.has("presence"):
        if s.up:
            yield Verb.STOP
        yield Verb.UNINSTALL
    if s.has("data"):
        yield Verb.PURGE


def _bringing(s: _Situation) -> Iterator[Verb]:
    runs = s.wanted.state != "stopped"
    stops = s.up and not s.beside and not s.keeps and (s.installs or not runs)
    if stops:
        yield Verb.STOP
    if s.installs:
        yield Verb.INSTALL
    if s.installs or s.has("parameter", "configuration"):
        yield Verb.CONFIGURE
    if runs and s.beside and s.installs and not s.keeps:
        yield Verb.RESTART
    elif runs:
        yield from _running(s, stopped=stops or not s.up)
    if s.has("monitoring") or (s.has("presence") and s.wires_monitoring):
        yield Verb.MONITOR_TRACE


def _running(s: _Situation, *, stopped: bool) -> Iterator[Verb]:
    if stopped:
        yield Verb.START
    elif s.effect is Effect.RELOAD and s.meta.has(Verb.RELOAD):
        yield Verb.RELOAD
    elif s.effect is not Effect.NONE:
        if s.meta.has(Verb.RESTART):
            yield Verb.RESTART
        else:
            yield Verb.STOP
            yield Verb.START


def _chain(document: Document, s: _Situation) -> list[Step]:
    intents: set[Intent] = {change.intent for change in s.changes}
    intent: Intent = "intended" if "intended" in intents else "corrective"
    reasons = tuple(change.reason for change in s.changes)
    chain: list[Step] = []
    for verb in _verbs(s):
        step = Step(
            id=step_id(document, s.wanted, verb, s.recorded.generation if s.recorded else 0),
            service=s.wanted.name,
            kind=s.wanted.kind,
            verb=verb,
            intent=intent,
            reasons=reasons,
            after=(chain[-1].id,) if chain else (),
            interrupts=verb in _INTERRUPTING,
            leaves=s.leaves(verb),
            keeps_running=s.keeps and verb in (Verb.INSTALL, Verb.CONFIGURE),
            removes=verb in REMOVING,
            destroys=verb is Verb.PURGE,
        )
        chain.append(step)
    return chain


def step_id(document: Document, wanted: Service, verb: Verb, generation: int) -> Digest:
    """Digest of the intent: the same step has the same id after any restart, another occasion has another.

    `generation` counts the finished steps of the service, so that two repairs of the same damage differ while a step
    that was started and not finished keeps its id.
    """
    inputs = msgspec.json.encode(
        [document.epoch, document.revision, document.bundle.digest, wanted, verb, generation], order="deterministic"
    )
    return f"sha256:{sha256(inputs).hexdigest()}"


def _ordered(document: Document, chains: dict[str, list[Step]]) -> tuple[Step, ...]:
    """Chains joined by what they wait for, in one order that respects every `after`."""
    wanted = {service.name: service for service in document.services}
    waits = {name: _waits_for(wanted[name], wanted, chains) for name in chains}
    ordered: list[Step] = []
    placed: set[str] = set()
    pending = sorted(chains, key=lambda name: (_is_agent(wanted[name]), _is_removal(wanted[name]), name))
    while pending:
        ready = next(name for name in pending if waits[name] <= placed)
        heads = tuple(chains[other][-1].id for other in sorted(waits[ready]))
        chain = chains[ready]
        ordered += [msgspec.structs.replace(chain[0], after=(*chain[0].after, *heads)), *chain[1:]]
        pending.remove(ready)
        placed.add(ready)
    return tuple(ordered)


def _waits_for(mine: Service, wanted: dict[str, Service], chains: dict[str, list[Step]]) -> set[str]:
    """Names of the services whose steps come before this one's. Acyclic: `decode` refuses circles of dependencies."""
    if _is_removal(mine):
        staying = {name for name in chains if not _is_removal(wanted[name]) and not _is_agent(wanted[name])}
        return staying | {n for n in chains if mine.name in wanted[n].depends_on and _is_removal(wanted[n])}
    if mine.state == "stopped":
        return {n for n in chains if mine.name in wanted[n].depends_on and wanted[n].state == "stopped"}
    return {n for n in mine.depends_on if n in chains and wanted[n].state in ("running", "adopted")}


def _is_agent(service: Service) -> bool:
    return service.kind == AGENT_KIND


def _is_removal(service: Service) -> bool:
    return service.state == "absent"
