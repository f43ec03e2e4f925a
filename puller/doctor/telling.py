"""The findings for a terminal: the worst first, aligned, with what to do below each."""

from collections.abc import Iterator

from puller.doctor.examination import ORDER, Examination
from puller.doctor.finding import Finding


def tell(examination: Examination) -> str:
    """Text that ends with a newline."""
    return "\n".join(_lines(examination)) + "\n"


def _lines(examination: Examination) -> Iterator[str]:
    yield f"{examination.host or 'this host'}: {_headline(examination)}"
    width = max((len(finding.check) for finding in examination.findings), default=0)
    for finding in sorted(examination.findings, key=lambda finding: ORDER.index(finding.verdict)):
        yield from _told(finding, width)


def _headline(examination: Examination) -> str:
    counts = [(examination.count(verdict), verdict) for verdict in ("fault", "warning")]
    told = [f"{number} {word}{'' if number == 1 else 's'}" for number, word in counts if number]
    checked = len(examination.findings) - examination.count("skipped")
    skipped = f", {examination.count('skipped')} skipped" if examination.count("skipped") else ""
    return f"{', '.join(told) or 'all is well'} ({checked} findings{skipped}; prefix {examination.prefix})"


def _told(finding: Finding, width: int) -> Iterator[str]:
    yield f"  {finding.verdict:<8} {finding.check:<{width}}  {' '.join(finding.found.split())}"
    if finding.advice:
        yield f"  {'':<8} {'':<{width}}  what to do: {finding.advice}"
