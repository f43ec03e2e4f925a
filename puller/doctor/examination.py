"""All checks, side by side. One that breaks is a finding itself: the others go on."""

import asyncio
import inspect
from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from puller.doctor import agent, backend, certificates, database, disk, enrolment, network, permissions, source, units
from puller.doctor.case import DEADLINE_S, Case
from puller.doctor.deadline import in_time
from puller.doctor.finding import Check, Finding, NotNow, Verdict, fault, skipped
from puller.paths import Paths
from puller.version import agent_version

CHECKS = (
    Check("settings", enrolment.settings),
    Check("keys", enrolment.keys),
    Check("trust", enrolment.trust),
    Check("names", network.names),
    Check("proxies", network.proxies),
    Check("connections", network.connections),
    Check("certificates", certificates.certificates),
    Check("clock", backend.clock),
    Check("backend", backend.backend),
    Check("source", source.source),
    Check("document", source.document),
    Check("held", source.held),
    Check("database", database.database),
    Check("reports", database.reports),
    Check("disk", disk.disk),
    Check("permissions", permissions.permissions),
    Check("units", units.units),
    Check("agent", agent.agent),
    Check("releases", agent.releases),
    Check("status", agent.status),
)
"""In the order in which a person would try them."""
ORDER: tuple[Verdict, ...] = ("fault", "warning", "ok", "skipped")
LAST_RESORT_S = 2 * DEADLINE_S
EXIT_OK, EXIT_WARNINGS, EXIT_FAULTS = 0, 1, 2


class Examination(Struct, frozen=True, kw_only=True):
    """Everything that was found."""

    host: str
    prefix: str
    agent_version: str
    at: str
    findings: tuple[Finding, ...]

    def count(self, verdict: Verdict) -> int:
        """How many findings are of this verdict."""
        return sum(finding.verdict == verdict for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """As the worst finding has it."""
        return EXIT_FAULTS if self.count("fault") else EXIT_WARNINGS if self.count("warning") else EXIT_OK


async def examine(paths: Paths, environ: Mapping[str, str], checks: Sequence[Check] = CHECKS) -> Examination:
    """Looks at everything; raises nothing."""
    case = Case(paths, environ)
    try:
        found = await asyncio.gather(*(_made(check, case) for check in checks))
    finally:
        await case.close()
    return Examination(
        host=case.settings.host if case.settings else "",
        prefix=str(paths.prefix),
        agent_version=agent_version(),
        at=f"{case.clock.now():%Y-%m-%dT%H:%M:%SZ}",
        findings=tuple(finding for findings in found for finding in findings),
    )


async def _made(check: Check, case: Case) -> list[Finding]:
    """The findings of one check, whatever happens in it."""
    try:
        findings = await _looked(check, case)
    except NotNow as error:
        findings = [skipped(str(error))]
    except TimeoutError:
        findings = [fault("not done in time: something hangs", "run it again with -v; look at disks, DNS and mounts")]
    except Exception as error:  # noqa: BLE001 - a doctor that falls over the first fault is none: the fault is told
        told = f"could not be checked: {type(error).__name__}: {error}"
        findings = [fault(told, "put right what the message says, or tell whoever keeps towline")]
    return [replace(finding, check=check.name) for finding in findings]


async def _looked(check: Check, case: Case) -> list[Finding]:
    if inspect.iscoroutinefunction(check.look):
        async with asyncio.timeout(LAST_RESORT_S):
            return list(await check.look(case))
    return await in_time(lambda: list(check.look(case)), LAST_RESORT_S)  # type: ignore[arg-type]
