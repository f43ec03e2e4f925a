"""Apply: the plan's steps, independent services side by side, each journalled before and after it runs."""

import asyncio
from pathlib import Path

import structlog
from msgspec import Struct
from msgspec.structs import replace

from desired_state.answer import Answer, read_answer
from desired_state.contract import Effect, Exit, Verb
from desired_state.document import Service
from desired_state.names import AGENT_KIND, Digest, ServiceName
from desired_state.progress import after_step
from desired_state.record import Record, Recorded
from desired_state.report import StepOutcome, StepResult
from desired_state.retry import MAX_ATTEMPTS, Next, after_failure
from desired_state.step import Step
from desired_state.withdrawal import ToHold
from puller.bundles import BundleDamaged
from puller.calls.scripts import AS_APPLIED, Scripts, as_applied
from puller.crash_points import reached
from puller.ports import Call, Ended, Stalled, Unavailable
from puller.reconciling import backoff
from puller.reconciling.parts import Parts
from puller.store import Store, journal
from puller.store.journal import Journalled, OpenRun
from puller.store.waits import Waits

LOG_TAIL = 8000
_log = structlog.get_logger("towline.step")


class Failure(Struct, frozen=True, kw_only=True):
    """A step that failed, and what happens next."""

    step: Step
    document: Digest
    what_next: Next
    attempts: int
    message: str


class Applier:
    """Runs steps of one document. `record` and `waits` grow with every step that ends."""

    def __init__(
        self, parts: Parts, *, accepted: ToHold, scripts: Scripts, run: OpenRun, record: Record, waits: Waits
    ) -> None:
        self._parts, self._accepted, self._scripts, self._run = parts, accepted, scripts, run
        self.record, self.waits = record, waits
        self.failures: list[Failure] = []
        self.done: list[Step] = []
        self.is_replaced = False
        """The agent was restarted by a step of this document: another puller goes on with the rest."""
        self._wanted = {service.name: service for service in accepted.document.services}
        self._installing: frozenset[ServiceName] = frozenset()
        self._brought: set[ServiceName] = set()

    async def apply(self, steps: tuple[Step, ...]) -> None:
        """Runs these steps; one whose predecessor is not among them or did not succeed is left for another pass."""
        self._installing = frozenset(step.service for step in steps if step.verb is Verb.INSTALL)
        before, own = _in_two(steps)
        tasks: dict[str, asyncio.Task[bool]] = {}
        await self._side_by_side(before, tasks)
        if not any(spent(failure) for failure in self.failures):
            # A document that is bad is left, and the agent it asks for would be undone with it.
            await self._side_by_side(own, tasks)

    async def _side_by_side(self, steps: tuple[Step, ...], tasks: dict[str, asyncio.Task[bool]]) -> None:
        room = asyncio.Semaphore(self._accepted.document.limits.parallel)

        async def take(step: Step) -> bool:
            for predecessor in step.after:
                if predecessor not in tasks or not await tasks[predecessor]:
                    return False
            if self.is_replaced:
                return False
            async with room:
                return await self._step(step)

        async with asyncio.TaskGroup() as group:
            for step in steps:
                tasks[step.id] = group.create_task(take(step))

    async def settle(self, journalled: Journalled, ended: Ended) -> bool:
        """Writes down how a step ended, with the record; whether it succeeded."""
        step = journalled.step
        answer = read_answer(step.verb, ended.exit_code, ended.stdout, ended.stderr)
        skipped = answer.exit_code == Exit.NOT_IMPLEMENTED and step.verb in (Verb.RELOAD, Verb.MONITOR_TRACE)
        if skipped or (answer.done and not ended.timed_out):
            await self._succeed(journalled, ended, answer, "skipped" if skipped else "done")
            return True
        message = _why(answer, ended)
        what_next = after_failure(None if ended.timed_out else answer)
        await self._fail(journalled, message, what_next, ended=ended, answer=answer)
        return False

    async def _step(self, step: Step) -> bool:
        wanted = self._wanted[step.service]
        try:
            await self._bring_packages(step, wanted)
            call = self._call(step, wanted)
        except (Unavailable, Stalled, BundleDamaged) as error:
            self._scripts.secrets.remove(self._parts.paths.steps / self._folder(step))
            await self._fail(await self._start(step), str(error), _class_of(error), at_least_s=_patience_s(error))
            return False
        reached("before_step_started")
        journalled = await self._start(step)
        reached("after_step_started")
        try:
            ended = await self._parts.runner.run(call)
        except Unavailable as error:
            self._scripts.secrets.remove(call.folder)
            await self._fail(journalled, str(error), Next.RETRY)
            return False
        # Cancelled meanwhile, the step goes on under its keeper, and needs its secrets: recovery removes them.
        reached("after_step_ended")
        ended = self.without_secrets(journalled, ended)
        return await self.settle(journalled, ended)

    def without_secrets(self, journalled: Journalled, ended: Ended) -> Ended:
        """What an ended step printed, without its secrets, whose files are removed. To be settled afterwards."""
        folder = self._parts.paths.steps / journalled.folder
        self._scripts.secrets.remove(folder)
        wanted = self._wanted.get(journalled.step.service)
        return self._scripts.secrets.taken_out(wanted, ended, folder) if wanted else ended

    async def _bring_packages(self, step: Step, wanted: Service) -> None:
        """Before a service's first step, so that nothing is stopped for a package not here yet; and before its use."""
        first = step.service in self._installing and step.service not in self._brought
        if first or step.verb is Verb.INSTALL:
            for package in wanted.packages.values():
                await self._parts.artifacts.ensure(package, self._accepted.document.artifact_bases)
            self._brought.add(step.service)

    def _call(self, step: Step, wanted: Service) -> Call:
        recorded = self.record.get(step.service)
        given = as_applied(wanted, recorded) if step.verb in AS_APPLIED else wanted
        folder = self._parts.paths.steps / self._folder(step)
        secrets = self._scripts.secrets.lay_out(given, folder)
        return self._scripts.call(given, step.verb, step=step.id, folder=folder, secrets=secrets)

    def _folder(self, step: Step) -> str:
        return str(Path(self._run.id) / f"{step.service}-{step.verb}-{step.id[7:15]}")

    async def _start(self, step: Step) -> Journalled:
        return await self._parts.store.transact(
            journal.start,
            self._run,
            step,
            folder=self._folder(step),
            timeout_s=self._scripts.timeout_s(step.kind, step.verb),
            document=self._accepted.digest,
            at=self._parts.clock.now(),
        )

    async def _succeed(self, journalled: Journalled, ended: Ended, answer: Answer, outcome: StepOutcome) -> None:
        step = journalled.step
        entry = self._entry(journalled, answer, outcome)
        result = _result(journalled, outcome, ended=ended, answer=answer)
        await self._parts.store.transact(journal.finish, journalled.n, result, entry)
        reached("after_step_done")
        self.record[step.service] = entry
        self.done.append(step)
        self.is_replaced |= step.kind == AGENT_KIND and step.verb is Verb.RESTART and answer.changed is True
        _log.info("step done", service=step.service, verb=step.verb, changed=answer.changed, ms=result.duration_ms)

    def _entry(self, journalled: Journalled, answer: Answer, outcome: StepOutcome) -> Recorded:
        step = journalled.step
        entry = after_step(
            self.record.get(step.service),
            step,
            wanted=self._wanted[step.service],
            meta=self._scripts.kinds[step.kind],
            answer=answer,
            revision=self._accepted.document.revision,
            at=self._parts.clock.now(),
            unsure=journalled.unsure,
        )
        if outcome == "skipped" and step.verb is Verb.RELOAD:
            return replace(entry, pending=Effect.RESTART)  # what cannot be reloaded is restarted
        return entry

    async def _fail(
        self,
        journalled: Journalled,
        message: str,
        what_next: Next,
        *,
        ended: Ended | None = None,
        answer: Answer | None = None,
        at_least_s: float = 0.0,
    ) -> None:
        step = journalled.step
        wait = backoff.after(
            self.waits.get(step.service),
            service=step.service,
            document=self._accepted.digest,
            what_next=what_next,
            message=f"{step.service}: {step.verb} failed: {message}",
            now=self._parts.clock.now(),
            jitter=self._parts.jitter(),
            at_least_s=at_least_s,
        )
        result = _result(journalled, "failed", message=message, ended=ended, answer=answer)
        await self._parts.store.transact(journal.fail, journalled.n, result, wait)
        self.waits[step.service] = wait
        self.failures.append(
            Failure(
                step=step,
                document=self._accepted.digest,
                what_next=what_next,
                attempts=wait.attempts,
                message=wait.message,
            )
        )
        _log.warning("step failed", service=step.service, verb=step.verb, reason=message, next=what_next)


async def lose(store: Store, journalled: Journalled) -> None:
    """Writes down that nobody knows how a step ended."""
    message = "power was lost, or the puller was ended before it began: nobody knows how it ended"
    await store.transact(journal.lose, journalled.n, _result(journalled, "unknown", message=message))
    _log.warning("step unknown", service=journalled.step.service, verb=journalled.step.verb)


def may_run(steps: tuple[Step, ...], waiting: frozenset[ServiceName], *, only_corrective: bool) -> tuple[Step, ...]:
    """The steps of services that do not wait; those after a step that is left out are left out when they come."""
    return tuple(
        step for step in steps if step.service not in waiting and not (only_corrective and step.intent == "intended")
    )


def spent(failure: Failure) -> bool:
    """Whether somebody asked for this step in vain: no further try of it is worth anything.

    Not of the agent's own: it returns to its last good release by itself, and a release that does not prove itself is
    no reason to undo what else the revision brought, nor to keep later ones from the services.
    """
    no_use = failure.what_next is Next.STALLED or failure.attempts >= MAX_ATTEMPTS
    return failure.step.intent == "intended" and failure.step.kind != AGENT_KIND and no_use


def _in_two(steps: tuple[Step, ...]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """The agent's own steps, with those that wait for them, apart from all others.

    Its restart ends this process. Steps that run then go on under their keepers, but the puller that comes must see
    them to their end before its first pass, and a newer agent is on trial by then: it has to make that pass in time.
    """
    own: set[Digest] = set()
    for step in steps:
        if step.kind == AGENT_KIND or not own.isdisjoint(step.after):
            own.add(step.id)
    return tuple(s for s in steps if s.id not in own), tuple(s for s in steps if s.id in own)


def _result(
    journalled: Journalled,
    outcome: StepOutcome,
    *,
    message: str = "",
    ended: Ended | None = None,
    answer: Answer | None = None,
) -> StepResult:
    step = journalled.step
    told = message or (answer.reason if answer else "")
    return StepResult(
        id=step.id,
        service=step.service,
        verb=step.verb,
        intent=step.intent,
        outcome=outcome,
        reasons=step.reasons,
        exit_code=answer.exit_code if answer else None,
        changed=answer.changed if answer else None,
        message=told[:1000],
        started_at=journalled.started_at,
        duration_ms=max(0, round(ended.duration_s * 1000)) if ended else 0,
        repeated=journalled.repeated,
        log=ended.stderr[-LOG_TAIL:].decode("utf-8", "replace") if ended else "",
    )


def _why(answer: Answer, ended: Ended) -> str:
    if ended.timed_out:
        return f"did not end in time and was ended after {ended.duration_s:.0f} s"
    return answer.fault or answer.reason or f"ended with exit code {answer.exit_code}"


def _class_of(error: Exception) -> Next:
    return Next.STALLED if isinstance(error, Stalled) else Next.RETRY


def _patience_s(error: Exception) -> float:
    return (error.retry_after_s if isinstance(error, Unavailable) else None) or 0.0
