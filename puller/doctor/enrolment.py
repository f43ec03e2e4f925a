"""Settings, keys, trust: whether this host knows who it is and whom to believe."""

import stat
from collections.abc import Iterator

from puller.doctor.case import Case
from puller.doctor.finding import Finding, fault, ok, skipped
from puller.identity import IDENTITY, SEALING, load_keys
from puller.ports import Stalled
from puller.transport.http_client import shown
from puller.trust_file import read_trust


def settings(case: Case) -> Iterator[Finding]:
    """The settings file, with every problem in it."""
    for problem in case.settings_problem.splitlines():
        yield fault(problem, "correct it; `towline-puller enroll` writes a whole file")
    if case.settings is not None:
        backend = shown(case.settings.backend_url) if case.settings.backend_url else "no backend"
        yield ok(f"host {case.settings.host}, {backend}, documents by {case.settings.source.type}")


def keys(case: Case) -> Iterator[Finding]:
    """The host's private keys: there, whole, and nobody else's to read."""
    folder = case.paths.keys
    if not folder.exists() and not case.paths.trust.exists():
        yield fault(
            "this host is not enrolled", "towline host invite NAME prints the command; or towline-puller enroll"
        )
        return
    try:
        load_keys(folder)
    except Stalled as error:
        yield fault(str(error), "without its keys this host is nobody: enrol it again")
        return
    loose = stat.S_IMODE(folder.stat().st_mode) & 0o077
    if loose:
        yield fault(f"{folder} may be entered by others", f"chmod 700 {folder}")
        return
    yield ok(f"{IDENTITY} and {SEALING} in {folder} are whole and private")


def trust(case: Case) -> Iterator[Finding]:
    """The trust file."""
    if not case.paths.trust.exists() and not case.paths.keys.exists():
        yield skipped("this host is not enrolled")
        return
    try:
        trusted = read_trust(case.paths.trust)
    except Stalled as error:
        yield fault(str(error), "restore it from a backup, or enrol this host again")
        return
    names = ", ".join(key.partition("+")[0] for key in trusted.keys)
    yield ok(f"version {trusted.version}, epoch {trusted.epoch}; believes {trusted.threshold} of: {names}")
