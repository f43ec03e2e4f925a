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


NEWER_THAN_4_4 = (
    r"\$\{!?\w+(\[[^]]*\])?@[UuLKk]\}",  # 5.1: ${name@U}, ${name@L}, ${name[@]@K}; 5.2: @k. Q, E, P, A and a are 4.4
    r"(?<!\\)\$\{[ |\t]",  # 5.3: ${ command; }, ${| command; }
    r"\bwait\s+(-\w+\s+)*-\w*p",  # 5.1: wait -p
    r"\b(local|declare)\s+(-\w+\s+)*-\w*I",  # 5.0: local -I
    r"\b(BASH_ARGV0|EPOCHSECONDS|EPOCHREALTIME)\b",  # 5.0
    r"\bSRANDOM\b",  # 5.1
    r"\b(BASH_MONOSECONDS|BASH_TRAPSIG|GLOBSORT)\b",  # 5.3
    r"\b(assoc_expand_once|localvar_(inherit|unset))\b",  # 5.0: shopt
    r"\b(globskipdots|varredir_close|patsub_replacement|noexpand_translation)\b",  # 5.2: shopt
    r"\b(array_expand_once|bash_source_fullpath)\b",  # 5.3: shopt
    r"-v\s+['\"]?\w+\[[@*]\]",  # 5.x: whether an array has anything
    r"\bprintf\b[^|;&]*%Q",  # 5.2
    r"\bread\s+(-\w+\s+)*-\w*E|\bcompgen\s+-V|\b(source|\.)\s+-p",  # 5.3
    r"\bulimit\s+-R|\btrap\s+-P",  # 5.1, 5.3
)
"""What came after 4.4, as far as a line of text shows it (the NEWS of bash). No registry that our tests reach carries a
bash 4.4, so text is all there is to judge by; the oldest that can be had (5.1) runs the functions and a whole kind."""

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
    "a value in a subscript of -v": Ban(
        r"(\[\[|\[|\btest)\s[^|;&\]]*-v\s+['\"]?\w+\[['\"]?\$",
        "a subscript there runs $(...): ask [[ -n ${name[$key]+there} ]]",
    ),
    "syntax that bash 4.4 has not": Ban(
        "|".join(NEWER_THAN_4_4), "hosts have bash 4.4 and later (RHEL 8): write it as that version can"
    ),
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
