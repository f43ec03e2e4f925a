"""One pass, readable top to bottom: recover, fetch, accept, observe, diff, plan, apply, verify, record, report.

First install, upgrade, self-heal, take-over and uninstall are this same pass with other input. Whatever happens in it,
what is known at its end is recorded once, in `finally`.
"""

from datetime import datetime
from typing import Literal

import structlog
from msgspec import Struct
from msgspec.structs import replace

from desired_state.acceptance import Accepted, expired
from desired_state.observed import Identity
from desired_state.plan import make_plan
from desired_state.progress import after_look
from desired_state.report import Status
from desired_state.retry import Next
from desired_state.step import Step
from desired_state.withdrawal import ToHold, Withdrawal, Withdrawn
from puller.calls.scripts import Scripts, ScriptShelf
from puller.crash_points import reached
from puller.looking.observer import Observer
from puller.metrics import PassNumbers
from puller.ports import Stalled, Unavailable
from puller.reconciling import backoff
from puller.reconciling.applying import Applier, may_run
from puller.reconciling.delivery import Deliverer
from puller.reconciling.findings import Findings
from puller.reconciling.housekeeping import forget_unused
from puller.reconciling.intake import Intake
from puller.reconciling.interim import in_touch
from puller.reconciling.modes import allowed
from puller.reconciling.parts import Parts
from puller.reconciling.recording import Recorded, record
from puller.reconciling.recovery import recover
from puller.reconciling.verdict import bad, verdict
from puller.reconciling.withdrawing import WITHDRAWN, refuse_withdrawal
from puller.store import documents, outbox, waits
from puller.store.documents import BadRevision
from puller.store.journal import OpenRun
from puller.store.snapshot import snapshot

Trigger = Literal["schedule", "start", "exit", "document", "request", "retry"]
MAX_ROUNDS = 3
"""So often one pass plans again after it has applied: a step may show that another one is needed."""
_log = structlog.get_logger("towline.pass")


class PassEnd(Struct, frozen=True, kw_only=True):
    """What the agent needs to know of a pass."""

    findings: Findings
    status: Status
    next_try_s: float | None
    """Seconds until a service that failed may be tried again."""

    @property
    def identities(self) -> dict[str, Identity]:
        """The process of each service that runs."""
        seen = self.findings.observed.values()
        return {o.service: o.identity for o in seen if o.identity is not None and o.state in ("running", "degraded")}


class Reconciler:
    """Makes passes, one at a time. Remembers only what it can find out again."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.intake = Intake(
            host=parts.host, source=parts.source, trust=parts.trust, store=parts.store, clock=parts.clock
        )
        self._observer = Observer(parts.glance, parts.clock)
        self._shelf = ScriptShelf(parts)
        self._deliverer = (
            Deliverer(host=parts.host, sink=parts.sink, store=parts.store, clock=parts.clock) if parts.sink else None
        )
        self._loaded = False

    async def run_pass(
        self,
        trigger: Trigger,
        *,
        allow_removals: int | None = None,
        insist: bool = False,
        withdrawal: Withdrawal | None = None,
    ) -> PassEnd:
        """One pass. `insist`: what stalled or backs off is tried now; `allow_removals`: instead of the limit, once;
        `withdrawal`: everything is taken away instead, and Stalled is raised where the mode forbids it."""
        findings = await self._begin(trigger, allow_removals)
        if insist or findings.known.requests:
            await self._parts.store.transact(waits.clear_all)
            findings.waits.clear()
        self._shelf.secrets.hold(held.document for held in (self.intake.accepted, self.intake.good) if held)
        try:
            await recover(self._parts, findings, self.intake, self._shelf)
            findings.taken = await self.intake.fetch()
            findings.newest = self.intake.accepted
            if findings.taken.is_new and findings.known.open_run is None and trigger == "schedule":
                findings.run = replace(findings.run, trigger="document")
            await (self._converge(findings) if withdrawal is None else self._withdraw(findings, withdrawal))
            reached("after_apply")
        finally:
            recorded = await record(self._parts, findings)
        if recorded.is_good and self.intake.note_good():
            await forget_unused(self._parts, [held for held in (self.intake.accepted, self.intake.good) if held])
        if self._deliverer is not None:
            await self._deliverer.deliver(findings.newest.digest if findings.newest else None)
        await self._measure(findings, recorded)
        return _end(findings, recorded.status, self._parts.clock.now())

    async def preview(self, withdrawal: Withdrawal | None = None, *, allow_removals: int | None = None) -> Findings:
        """What a pass would do now. Fetches and looks; keeps nothing. Raises Unavailable or Stalled."""
        findings = await self._begin("request", allow_removals)
        findings.taken, findings.newest = await self.intake.peek()
        if findings.newest is not None:
            findings.allowed = allowed(findings.newest.document, findings.known.suspension, findings.now)
            findings.in_force = self._document_to_hold(findings, findings.newest)
            if withdrawal is not None:
                findings.in_force = Withdrawn(findings.newest, withdrawal, findings.record)
            await self._look(findings, findings.in_force, await self._shelf.scripts(findings.in_force))
        return findings

    async def _measure(self, findings: Findings, recorded: Recorded) -> None:
        """Shows the pass to whoever collects metrics on this host."""
        if self._parts.metrics is None:
            return
        numbers = PassNumbers(
            at=self._parts.clock.now(),
            duration_s=self._parts.clock.monotonic() - findings.began,
            results=recorded.results,
            outbox=await self._parts.store.read(outbox.backlog),
            document_expires_at=findings.in_force.document.expires_at if findings.in_force else None,
        )
        self._parts.metrics.observe(recorded.status, numbers)

    async def _begin(self, trigger: Trigger, allow_removals: int | None) -> Findings:
        parts = self._parts
        if not self._loaded:
            await self.intake.load()
            self._loaded = True
        known = await parts.store.read(snapshot)
        removals = [r.allow_removals for r in known.requests if r.allow_removals is not None]
        now = parts.clock.now()
        return Findings(
            run=known.open_run or OpenRun(id=parts.new_id(), trigger=trigger, started_at=now),
            began=parts.clock.monotonic(),
            now=now,
            known=known,
            record=dict(known.record),
            waits=dict(known.waits),
            allow_removals=max(removals) if removals else allow_removals,
        )

    async def _converge(self, findings: Findings) -> None:
        """Holds the host to the newest accepted document, or, when that proves bad, to the last good one."""
        newest = findings.newest
        document = newest.document if newest else None
        findings.allowed = allowed(document, findings.known.suspension, findings.now)
        if newest is None:
            return
        to_hold = self._document_to_hold(findings, newest)
        bad = await self._reach(findings, to_hold)
        if bad is not None and self.intake.good is not None and self.intake.good.digest != to_hold.digest:
            await self._parts.store.transact(documents.mark_bad, bad)
            _log.warning("revision is bad, returning to the last good one", revision=bad.revision, reason=bad.message)
            self._tell_of_return(findings, bad, self.intake.good)
            await self._reach(findings, self.intake.good)

    async def _withdraw(self, findings: Findings, order: Withdrawal) -> None:
        """Takes away what is here. What fails is no reason to bring anything back."""
        newest = findings.newest
        findings.allowed = allowed(newest.document if newest else None, findings.known.suspension, findings.now)
        refuse_withdrawal(findings)
        if newest is not None:
            findings.withdrawn = WITHDRAWN
            await self._reach(findings, Withdrawn(newest, order, findings.record))

    def _document_to_hold(self, findings: Findings, newest: Accepted) -> Accepted:
        bad, good = findings.known.bad, self.intake.good
        if bad is None or good is None or bad.digest != newest.digest:
            return newest
        self._tell_of_return(findings, bad, good)
        return good

    def _tell_of_return(self, findings: Findings, bad: BadRevision, good: Accepted) -> None:
        findings.rolled_back = (
            f"revision {bad.revision} could not be applied ({bad.message}); revision {good.document.revision} runs "
            f"instead, and {bad.revision} is not tried again: publish a newer one"
        )

    async def _reach(self, findings: Findings, accepted: ToHold) -> BadRevision | None:
        """Observe, diff, plan, apply, verify. What makes the document a bad one, if something does."""
        findings.in_force = accepted
        # An order said here and now is no older for the age of the document that it stands on.
        late = expired(accepted.document, findings.now) if isinstance(accepted, Accepted) else None
        findings.expired = late.message if late else ""
        try:
            scripts = await self._shelf.scripts(accepted)
        except Stalled as error:
            findings.stalled.append(str(error))
            return bad(findings, accepted, "", str(error)) if isinstance(accepted, Accepted) else None
        except Unavailable as error:
            await self._do_without(findings, accepted, error)
            return None
        reached("after_bundle")
        await self._look(findings, accepted, scripts)
        if findings.allowed.mode != "enforce":
            return None
        for _ in range(MAX_ROUNDS):
            if not await self._apply(findings, accepted, scripts):
                break
        return verdict(findings, accepted) if isinstance(accepted, Accepted) else None

    async def _do_without(self, findings: Findings, accepted: ToHold, error: Unavailable) -> None:
        """The new document's scripts cannot be had now: until they can, the last good one is kept up, or taken away."""
        findings.retrying.append(f"revision {accepted.document.revision} waits for its scripts: {error}")
        good = self.intake.good
        if isinstance(accepted, Withdrawn) and good is not None and good.digest != accepted.accepted.digest:
            await self._reach(findings, Withdrawn(good, accepted.order, findings.record))
        elif isinstance(accepted, Accepted) and good is not None and good.digest != accepted.digest:
            await self._reach(findings, good)

    async def _look(self, findings: Findings, accepted: ToHold, scripts: Scripts, *applied: Step) -> None:
        """Observe, diff and plan; those that were just worked on are looked at by their script."""
        document = accepted.document
        findings.observed = await self._observer.observe(
            document, findings.record, scripts, ask={step.service for step in applied}
        )
        for name, entry in findings.record.items():
            if name in findings.observed:
                findings.record[name] = after_look(entry, findings.observed[name])
        reached("before_plan")
        findings.plan = make_plan(
            document,
            findings.record,
            findings.observed,
            scripts.kinds,
            allow_removals=findings.allow_removals,
            command="withdraw" if isinstance(accepted, Withdrawn) else "once",
        )

    async def _apply(self, findings: Findings, accepted: ToHold, scripts: Scripts) -> bool:
        """Runs what may be run and looks again; whether everything succeeded and more is to be done."""
        planned = findings.plan.steps if findings.plan else ()
        steps = may_run(planned, findings.waiting(), only_corrective=bool(findings.expired))
        if not steps:
            return False
        applier = Applier(
            self._parts,
            accepted=accepted,
            scripts=scripts,
            run=findings.run,
            record=findings.record,
            waits=findings.waits,
        )
        async with in_touch(self._parts, findings, self._deliverer):
            await applier.apply(steps)
        findings.failures += applier.failures
        self._slow_repairs(findings, accepted, applier.done)
        if applier.is_replaced:
            # Looked at now, the older agent runs where the newer shall: us. What was not verified stays outstanding
            # until the puller that comes has looked; were it planned again, it would be restarted twice.
            return False
        await self._look(findings, accepted, scripts, *steps)
        return not applier.failures

    def _slow_repairs(self, findings: Findings, accepted: ToHold, done: list[Step]) -> None:
        """A service that dies again and again is started again more and more slowly."""
        for service in {step.service for step in done if step.intent == "corrective"}:
            findings.waits[service] = backoff.after(
                findings.waits.get(service),
                service=service,
                document=accepted.digest,
                what_next=Next.RETRY,
                message=f"{service}: was repaired and needs it again",
                now=self._parts.clock.now(),
                jitter=self._parts.jitter(),
            )


def _end(findings: Findings, status: Status, now: datetime) -> PassEnd:
    waiting = [wait for wait in findings.blocked() if wait.state == "retry"]
    seconds = [max(1.0, (wait.next_try - now).total_seconds()) for wait in waiting]
    return PassEnd(
        findings=findings,
        status=status,
        next_try_s=min(seconds) if seconds and findings.allowed.mode == "enforce" else None,
    )
