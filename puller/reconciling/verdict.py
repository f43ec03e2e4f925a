"""Whether a document is a bad one: a step that it asks for, but of the agent, stalled, or failed too often."""

from desired_state.acceptance import Accepted
from desired_state.names import AGENT_KIND
from desired_state.retry import MAX_ATTEMPTS
from puller.reconciling.applying import spent
from puller.reconciling.findings import Findings
from puller.store.documents import BadRevision


def verdict(findings: Findings, accepted: Accepted) -> BadRevision | None:
    """What makes the document a bad one, if something does."""
    for failure in findings.failures:
        if failure.document == accepted.digest and spent(failure):
            return bad(findings, accepted, failure.step.service, failure.message)
    return _not_drawn_before(findings, accepted)


def bad(findings: Findings, accepted: Accepted, service: str, message: str) -> BadRevision:
    """That document, bad because of that."""
    return BadRevision(
        digest=accepted.digest,
        revision=accepted.document.revision,
        service=service,
        message=message[:800],
        since=findings.now,
    )


def _not_drawn_before(findings: Findings, accepted: Accepted) -> BadRevision | None:
    """The verdict of a puller that was ended between the failure and this conclusion: the wait it left tells enough."""
    asked = {c.service for c in findings.plan.changes if c.intent == "intended"} if findings.plan else set()
    asked -= {service.name for service in accepted.document.services if service.kind == AGENT_KIND}
    for wait in findings.waits.values():
        no_use = wait.state == "stalled" or wait.attempts >= MAX_ATTEMPTS
        if wait.document == accepted.digest and wait.service in asked and no_use:
            return bad(findings, accepted, wait.service, wait.message)
    return None
