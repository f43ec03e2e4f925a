"""The backend's answers: its time, and whether it knows this host."""

from puller.doctor.case import Case
from puller.doctor.finding import Finding, fault, ok, skipped, warning
from puller.transport.http_client import shown
from puller.transport.server_date import TOLERATED_S, skew_told, unverified_skew_s
from puller.transport.signed_client import clock_skew_s, detail

NOTED_S = 10


async def clock(case: Case) -> list[Finding]:
    """This host's clock against the backend's."""
    target = case.target("backend")
    poll = await case.poll()
    skew = clock_skew_s(poll.answer, case.clock) if poll.answer else None
    whose = f"the backend's ({target.host})"
    if skew is None:
        skew = await unverified_skew_s(case.known_settings().backend_url, case.clock)
        whose = f"that of {target.host}, whose certificate was not checked"
    if skew is None:
        return [skipped("the backend tells no time")]
    if abs(skew) > TOLERATED_S:
        return [fault(f"this host's clock is {skew_told(skew)} {whose}", "set the clock; keep it right with NTP")]
    if abs(skew) > NOTED_S:
        return [warning(f"this host's clock is {skew_told(skew)} {whose}", "keep it right with NTP")]
    return [ok(f"this host's clock agrees with {whose}")]


async def backend(case: Case) -> list[Finding]:
    """Whether the backend takes this host's signature, and has a document for it."""
    settings = case.known_settings()
    poll = await case.poll()
    if poll.error is not None:
        return [fault(str(poll.error), _advice(poll.answer.status if poll.answer else 0))]
    if poll.answer is None:
        return [skipped("it was not asked")]
    status, where = poll.answer.status, shown(settings.backend_url)
    if status == 404 and poll.answer.headers.get("content-type", "").startswith("application/problem+json"):
        known = f"{where} knows this host as {settings.host} and has published nothing for it"
        if settings.source.type != "http":
            return [ok(f"{known} over HTTP")]
        return [warning(known, f"add {settings.host} to the catalogue and publish")]
    if status != 200:
        told = f"{poll.asked}: answers {status}: {detail(poll.answer)}"
        return [fault(told, "is backend_url right? Is another site or a proxy in between?")]
    return [ok(f"{where} takes this host's signature as {settings.host}")]


def _advice(status: int) -> str:
    if status == 401:
        return "the backend does not know this host, or with another key: was it deleted, enrolled elsewhere, restored?"
    if status == 403:
        return "ask who runs the backend"
    return "see the findings on names, proxies, connections, certificates; then look at the backend"
