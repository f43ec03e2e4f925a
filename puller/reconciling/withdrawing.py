"""The order to take everything away: when it is refused, and what is said of a host that it was carried out on."""

from puller.ports import Stalled
from puller.reconciling.findings import Findings

WITHDRAWN = (
    "an operator of this host had everything removed (towline-puller withdraw); an agent that runs here applies the "
    "document again"
)


def refuse_withdrawal(findings: Findings) -> None:
    """Raises Stalled where the mode forbids changes, and where services are here whose scripts nobody knows."""
    mode = findings.allowed.mode
    if mode != "enforce":
        word = findings.allowed.suspended_locally or (findings.newest.document.mode_reason if findings.newest else "")
        how = "towline-puller resume" if findings.allowed.suspended_locally else "set mode enforce in the catalogue"
        raise Stalled(
            f"mode {mode} forbids changes{f' ({word})' if word else ''}: nothing is removed. To remove: {how}"
        )
    here = sorted(name for name, entry in findings.record.items() if entry.state != "absent")
    if findings.newest is None and here:
        raise Stalled(
            f"no document is held on this host, and it names the scripts that remove {', '.join(here)[:500]}: publish "
            "one, or restore the source of documents"
        )
