"""Tables of parameters for the pages of kinds, from `meta`; `python -m tests.scripts.parameter_table` writes them."""

import subprocess
from pathlib import Path

import msgspec

from desired_state.contract import KindMeta, Parameter
from tests.scripts.calling import KINDS, SCRIPTS

PAGES = SCRIPTS.parent / "docs" / "scripts"


def table_of(kind: str) -> str:
    """The table as Markdown."""
    command = ["bash", str(SCRIPTS / f"{kind}ctl.sh"), "meta"]
    meta = msgspec.json.decode(subprocess.run(command, capture_output=True, check=True).stdout, type=KindMeta)
    head = "| parameter | type | default | a change needs | meaning |\n| --- | --- | --- | --- | --- |\n"
    return head + "".join(f"{_row(parameter)}\n" for parameter in meta.parameters)


def _row(parameter: Parameter) -> str:
    default = "required" if parameter.required else f"`{parameter.default}`" if parameter.default else ""
    said = f"{parameter.help}{_bounds(parameter)}"
    return f"| `{parameter.name}` | {parameter.type} | {default} | {parameter.effect} | {said} |"


def _bounds(parameter: Parameter) -> str:
    if parameter.choices:
        return f" ({', '.join(f'`{choice}`' for choice in parameter.choices)})"
    if parameter.type in ("int", "duration") and parameter.min is not None and parameter.max is not None:
        return f" ({parameter.min} to {parameter.max}{' s' if parameter.type == 'duration' else ''})"
    return ""


def with_table(page: str, kind: str) -> str:
    """The page with its table as it should be."""
    begin, end = f"<!-- parameters: {kind} -->\n", "<!-- end -->"
    before, _, rest = page.partition(begin)
    return before + begin + table_of(kind) + end + rest.partition(end)[2]


def page_of(kind: str) -> Path:
    """Where a kind is documented."""
    return PAGES / f"{kind}.md"


if __name__ == "__main__":
    for name in (kind for kind in KINDS if page_of(kind).exists()):
        page_of(name).write_text(with_table(page_of(name).read_text(), name))
