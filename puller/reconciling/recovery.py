"""After a crash: what became of the steps that an earlier puller started. Nothing is run here, and nothing assumed."""

import shutil

from desired_state.withdrawal import ToHold, Withdrawal, Withdrawn, withdrawn_digest
from puller.calls.scripts import ScriptShelf
from puller.ports import Call, Ended, Stalled, Unavailable
from puller.reconciling.applying import Applier, lose
from puller.reconciling.findings import Findings
from puller.reconciling.intake import Intake
from puller.reconciling.parts import Parts
from puller.store.journal import Journalled


async def recover(parts: Parts, findings: Findings, intake: Intake, shelf: ScriptShelf) -> None:
    """A receipt is written down; a keeper that still works is waited for; of what has neither, nobody knows the end."""
    for journalled in findings.known.started:
        ended = await parts.runner.reattach(_call(parts, journalled))
        applier = await _applier(parts, findings, intake, shelf, journalled)
        if applier is None:
            # Nobody can tell which secrets may stand in what it left.
            shutil.rmtree(parts.paths.steps / journalled.folder, ignore_errors=True)
            await lose(parts.store, journalled)
        elif ended is None:
            applier.without_secrets(journalled, Ended(exit_code=0))
            await lose(parts.store, journalled)
        else:
            await applier.settle(journalled, applier.without_secrets(journalled, ended))
            findings.failures += applier.failures
    shelf.secrets.sweep()


async def _applier(
    parts: Parts, findings: Findings, intake: Intake, shelf: ScriptShelf, journalled: Journalled
) -> Applier | None:
    """What can read the script's answer: that of the document the step was planned from."""
    accepted = _planned_from(findings, intake, journalled)
    if accepted is None:
        return None
    try:
        scripts = await shelf.scripts(accepted)
    except (Unavailable, Stalled):
        return None
    return Applier(
        parts, accepted=accepted, scripts=scripts, run=findings.run, record=findings.record, waits=findings.waits
    )


def _planned_from(findings: Findings, intake: Intake, journalled: Journalled) -> ToHold | None:
    for accepted in (intake.accepted, intake.good):
        if accepted is None:
            continue
        if accepted.digest == journalled.document:
            return accepted
        for order in (Withdrawal(), Withdrawal(purge_data=True)):
            if withdrawn_digest(accepted.digest, order) == journalled.document:
                return Withdrawn(accepted, order, findings.record)
    return None


def _call(parts: Parts, journalled: Journalled) -> Call:
    step = journalled.step
    folder = parts.paths.steps / journalled.folder
    return Call(
        step=step.id,
        service=step.service,
        verb=step.verb,
        script=folder / "no-script-is-run-again",
        folder=folder,
        timeout_s=journalled.timeout_s,
        environment={"TOWLINE_PREFIX": str(parts.paths.prefix)},
    )
