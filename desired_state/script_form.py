"""How a kind's script must be written, judged by its text alone: bans, each of which was seen to go wrong somewhere,
and the shape that lets an operator find everything where the other kinds have it."""

import re

from msgspec import Struct

MAX_LINES = 260
"""Of a kind's script: what is longer is not read."""
MAX_COLUMNS = 400


class Ban(Struct, frozen=True):
    """What no script may do. `instead`: what to do."""

    pattern: str
    instead: str


BANS = {
    "eval": Ban(r"\beval\b", "a value must never become code: put the words of a command into an array"),
    "sourcing of anything but a sibling script": Ban(
        r'^\s*(\.|source)\s+(?!"\$(COMMON|\{here:-\./\}))',
        'read data line by line; scripts are sourced as `. "${here:-./}NAME.sh"`',
    ),
    "removing a tree outside remove_tree": Ban(
        r"\brm\s+(-\w*\s+)*-\w*[rR]", "call remove_tree, which looks where it is first"
    ),
    "killing without asking first": Ban(
        r"\bkill\s+(-9|-KILL|-s\s+(9|KILL|SIGKILL))",
        "call end_process: TERM, a deadline, and KILL for what is proven ours",
    ),
    "killing by name": Ban(r"\b(pkill|killall)\b", "call signal or end_process: the process is known by its identity"),
    "a password in a command line": Ban(
        r"\bsshpass\b|REDISCLI_AUTH|--password=|requirepass \"?\$\(",
        "everybody reads command lines: put it into a file by `put`",
    ),
    "finding a process by its text": Ban(
        r"\bps\b.*\|\s*grep|\bpgrep\b|\bpidof\b", "ask running or alive: pid, start time and boot id"
    ),
    "running what a network says": Ban(
        r"(curl|wget)\b.*\|\s*(ba)?sh", "programs come as packages, fetched and verified by the puller"
    ),
    "a debug port open by default": Ban(r"address=\*|-agentlib:jdwp", "leave it to a parameter that is off"),
    "a command of a string": Ban(r"\b(bash|sh)\s+-c\b", "call the command itself, its words in an array"),
    "a fixed file in a shared folder": Ban(r"/tmp/", "use the service's own: $run, $data"),  # noqa: S108 - what is forbidden
    "an unbounded wait": Ban(r"\bsleep\s+infinity\b|\btail\s+-f\b", "set a deadline and call wait_until"),
}


class FormFault(Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a script's text. `line` is 0 where no single line is."""

    line: int
    what: str
    instead: str


def banned(text: str) -> tuple[FormFault, ...]:
    """Every ban that the script breaks, in the order of its lines. Whole-line comments may name what is banned."""
    code = [(n, line) for n, line in enumerate(text.splitlines(), start=1) if not line.lstrip().startswith("#")]
    return tuple(
        FormFault(line=number, what=what, instead=ban.instead)
        for number, line in code
        for what, ban in BANS.items()
        if re.search(ban.pattern, line)
    )


def shape_faults(name: str, text: str) -> tuple[FormFault, ...]:
    """What of the common shape a kind's script lacks: strict at the top, what healthy means, dispatch at the end."""
    lines = text.splitlines()
    head = lines[:8]
    demanded = (
        (lines[:1] == ["#!/usr/bin/env bash"], 1, "does not begin with #!/usr/bin/env bash", "write it"),
        (
            re.match(rf"# {re.escape(name)}: .", "".join(lines[1:2])) is not None,
            2,
            "does not say what it drives",
            f"write `# {name}: SOFTWARE. Healthy means: ...`",
        ),
        ("Healthy means" in "\n".join(lines[1:4]), 2, "does not say what healthy means", "say it in line 2 or 3"),
        (
            "set -Eeuo pipefail" in head,
            3,
            "has no `set -Eeuo pipefail` in its first lines",
            "write it below the comment",
        ),
        ("umask 077" in head, 4, "has no `umask 077` in its first lines", "write it below the comment"),
        (
            lines[-1:] == ['run_verb "$@"'],
            len(lines),
            'does not end with run_verb "$@"',
            "functions only, and the dispatch as the last line",
        ),
        (
            len(lines) <= MAX_LINES,
            0,
            f"has {len(lines)} lines, more than {MAX_LINES}",
            "move parts into a file beside it",
        ),
    )
    shape = [FormFault(line=line, what=what, instead=do) for fine, line, what, do in demanded if not fine]
    return (*shape, *_layout_faults(lines))


def _layout_faults(lines: list[str]) -> list[FormFault]:
    """What an editor does not show: tabs, blanks at a line's end, lines that nobody reads to their end."""
    found = []
    for number, line in enumerate(lines, start=1):
        if "\t" in line or line != line.rstrip():
            found.append(
                FormFault(line=number, what="has a tab or a blank at its end", instead="run shfmt -i 2 -ci -w on it")
            )
        if len(line) > MAX_COLUMNS:
            found.append(FormFault(line=number, what=f"is longer than {MAX_COLUMNS} characters", instead="break it"))
        if number <= 4 and "disable=" in line:
            found.append(
                FormFault(
                    line=number, what="switches a rule off for the whole file", instead="put it before the one command"
                )
            )
    return found
