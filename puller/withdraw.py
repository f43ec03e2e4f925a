"""`towline-puller withdraw`: everything that towline runs on this host is taken away, by one pass of the usual kind."""

import asyncio
from collections.abc import Mapping

from desired_state.step import Plan
from desired_state.withdrawal import Withdrawal, data_that_stays
from puller.paths import Paths
from puller.ports import Stalled
from puller.reconciling.findings import Findings
from puller.reconciling.reconcile import Reconciler
from puller.reconciling.withdrawing import refuse_withdrawal
from puller.settings import load_settings
from puller.single_flight import SingleFlight, holder
from puller.telling import tell_plan
from puller.wiring import open_parts

EXIT_GONE, EXIT_LEFT, EXIT_HELD = 0, 1, 2
"""Nothing of ours is left (or would be, with `--plan`); something failed; something waits for a person's word."""


def plan_withdrawal(
    paths: Paths, environ: Mapping[str, str], order: Withdrawal, *, allow_removals: int | None
) -> tuple[str, int]:
    """`withdraw --plan`: what it would do, and the exit code. Changes nothing. Raises Stalled and Unavailable."""
    settings = load_settings(paths, environ)
    _refuse_beside_an_agent(paths)

    async def work() -> Findings:
        async with open_parts(settings, paths) as parts:
            found = await Reconciler(parts).preview(order, allow_removals=allow_removals)
            refuse_withdrawal(found)
            return found

    found = asyncio.run(work())
    note = found.taken.refused.message if found.taken.refused else found.taken.unavailable
    told = tell_plan(found.plan, mode=found.allowed.mode, note=note) if found.newest else "nothing is here to remove\n"
    return told + _of_data(found, order), EXIT_HELD if found.plan and found.plan.held else EXIT_GONE


def withdraw(
    paths: Paths, environ: Mapping[str, str], order: Withdrawal, *, allow_removals: int | None
) -> tuple[str, int]:
    """`withdraw`: what is left to tell, and the exit code. Run again it goes on where it was. Raises Stalled."""
    settings = load_settings(paths, environ)
    _refuse_beside_an_agent(paths)

    async def work() -> tuple[Findings, tuple[str, ...]]:
        async with open_parts(settings, paths) as parts:
            end = await Reconciler(parts).run_pass(
                "request", allow_removals=allow_removals, insist=True, withdrawal=order
            )
            return end.findings, tuple(wait.message for wait in end.findings.blocked())

    with SingleFlight(paths.lock):
        found, failures = asyncio.run(work())
    reasons = [*found.stalled, *found.retrying, *failures]
    return _outcome(found.plan, reasons) + _of_data(found, order), _exit_code(found, reasons)


def _refuse_beside_an_agent(paths: Paths) -> None:
    """An agent would install again what is removed under it."""
    agent = holder(paths.lock)
    if agent is not None:
        raise Stalled(f"an agent runs on this host (pid {agent}) and would install everything again: stop it first")


def _exit_code(found: Findings, reasons: list[str]) -> int:
    if found.plan is not None and found.plan.held:
        return EXIT_HELD
    return EXIT_LEFT if reasons or (found.plan is not None and found.plan.changes) else EXIT_GONE


def _outcome(plan: Plan | None, reasons: list[str]) -> str:
    if plan is None:
        return "".join(f"{reason}\n" for reason in reasons) or "nothing was here to remove\n"
    lines = [*reasons, *(f"{hold.service}: {hold.verb} is held: {hold.reason}" for hold in plan.held)]
    left = sorted({change.service for change in plan.changes})
    lines.append(f"still here: {', '.join(left)}" if left else "everything that towline ran here is removed")
    return "".join(f"{line}\n" for line in lines)


def _of_data(found: Findings, order: Withdrawal) -> str:
    stays = data_that_stays(found.record, order)
    if not stays:
        return ""
    word = "" if order.purge_data else "; --purge-data deletes it"
    return f"data stays, below services/<name>/data: {', '.join(stays)}{word}\n"
