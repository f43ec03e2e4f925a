"""docs/scripts/tested.md: written by the run, a section a kind. No times in it: the same outcome is the same page."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.middleware.life import NOT_HAD, STAGES, Outcome
from tests.scripts.kinds.case import Software

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scripts" / "tested.md"
HEAD = """\
# What was run on the real software

`nox -s middleware` writes this page; `nox -s middleware -- redis` runs one kind and writes its section. *Real* means:
the software itself, installed by the script from an archive in upstream's layout, asked by its own client or protocol.
*Layout only* means that the software cannot be had where the run was made, and an archive of the same layout stood
in. A dash: the kind has no such thing, or there is no older version to come from.
"""
Lived = Sequence[tuple[Software, Mapping[str, Outcome]]]


def section_of(kind: str, lived: Lived) -> str:
    """One kind: a row a stage, a column a version, oldest first."""
    named = [f"{software.name} {software.version}" for software, _ in lived]
    rows = [["", *named], ["---"] * (len(named) + 1)]
    rows.append(["software", *("layout only" if software.layout_only else "real" for software, _ in lived)])
    for stage, title in STAGES.items():
        cells = [outcomes[stage].words if stage in outcomes else "not reached" for _, outcomes in lived]
        if set(cells) != {NOT_HAD}:
            rows.append([title, *(_cell(words) for words in cells)])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"## {kind}\n\n{table}\n"


def _cell(words: str) -> str:
    return words.replace("|", "\\|")


def sections(page: str) -> dict[str, str]:
    """The sections of a page by kind."""
    parts = re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0].removeprefix("## "): f"{part.rstrip()}\n" for part in parts}


def page_with(page: str, new: Mapping[str, str]) -> str:
    """The page with these sections in their places."""
    found = {**sections(page), **new}
    return HEAD + "".join(f"\n{found[kind]}" for kind in sorted(found))
