"""Run kinds on their real software and write the table: python -m tests.middleware [OPTION...] [KIND...]"""

import argparse
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.middleware.life import Outcome, lives
from tests.middleware.tested_page import PAGE, Lived, page_with, section_of, sections
from tests.scripts.calling import KINDS
from tests.scripts.kinds.case import Case, Software, case_of, has_software

AT_ONCE = 2
_saying = threading.Lock()


def main() -> int:
    """Every kind, or those that are named; 1 when a stage did not reach its state, or the page says something else."""
    options = _options()
    kinds = sorted(options.kinds or filter(has_software, KINDS), key=lambda kind: (case_of(kind).real.cost_s, kind))
    until = time.monotonic() + options.within if options.within else None
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ran = dict(zip(kinds, pool.map(lambda kind: _run(kind, until, options.versions), kinds), strict=True))
    lived = {kind: its for kind, its in ran.items() if its is not None}
    written = {kind: section_of(kind, its) for kind, its in lived.items()}
    failed = [kind for kind, its in lived.items() if not all(o.good for _, found in its for o in found.values())]
    _tell(failed, [kind for kind in kinds if kind not in lived])
    page = PAGE.read_text() if PAGE.exists() else ""
    if not options.check:
        good = {kind: section for kind, section in written.items() if kind not in failed}
        PAGE.write_text(page_with(page, good))
        print(f"written: {PAGE.name}: {', '.join(sorted(good))}")
        return 1 if failed else 0
    other = [kind for kind, section in written.items() if sections(page).get(kind) != section]
    for kind in other:
        print(f"{PAGE.name} says something else of {kind} than this run:\n{written[kind]}")
    return 1 if failed or other else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nox -s middleware --", description=__doc__)
    parser.add_argument("--within", type=int, metavar="S", help="after S seconds no further kind is begun, and named")
    parser.add_argument("--versions", type=int, default=1, metavar="N", help="so many versions of a kind at a time")
    parser.add_argument("--check", action="store_true", help="compare with the page instead of writing it")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"some of: {' '.join(KINDS)}")
    options = parser.parse_args()
    if unknown := set(options.kinds) - set(KINDS):
        parser.error(f"there is no kind {', '.join(sorted(unknown))}")
    return options


def _tell(failed: list[str], left: list[str]) -> None:
    if left:
        print(f"not run, for lack of time: {', '.join(left)}; nox -s middleware -- {' '.join(left)} runs them")
    if failed:
        print(f"FAILED: {', '.join(failed)}")


def _run(kind: str, until: float | None, versions: int) -> Lived | None:
    """Each version's life; None when its time was over before it began."""
    if until is not None and time.monotonic() > until:
        return None
    case = case_of(kind)
    all_of_it = case.real.software
    with ThreadPoolExecutor(versions) as pool:
        before = (None, *all_of_it[:-1])
        older = [None if one.first else one.after or left for left, one in zip(before, all_of_it, strict=True)]
        return list(pool.map(lambda software, older: _life(kind, case, software, older), all_of_it, older))


def _life(kind: str, case: Case, software: Software, older: Software | None) -> tuple[Software, Mapping[str, Outcome]]:
    found: dict[str, Outcome] = {}
    began = time.monotonic()
    for outcome in lives(kind, case, software, older):
        found[outcome.stage] = outcome
        _say(kind, f"{software.name} {software.version}", outcome, time.monotonic() - began)
        began = time.monotonic()
    return software, found


def _say(kind: str, software: str, outcome: Outcome, seconds: float) -> None:
    with _saying:
        told = outcome.words if outcome.good else f"FAILED {outcome.words}"
        print(
            f"{time.strftime('%H:%M:%S')} {kind:14} {software:20} {outcome.stage:12} {seconds:5.1f} s  {told}",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
