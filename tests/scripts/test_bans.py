"""What no script may do, as tests: each ban was seen to go wrong somewhere."""

import re
from pathlib import Path

import pytest

from desired_state.script_form import BANS, banned, shape_faults
from tests.scripts.calling import KINDS, SCRIPTS

FILES = sorted(SCRIPTS.rglob("*.sh"))
CONTROLS = [SCRIPTS / f"{kind}ctl.sh" for kind in KINDS]


@pytest.mark.parametrize("ban", BANS)
def test_banned(ban: str) -> None:
    """No script does it."""
    texts = {path: path.read_text() for path in FILES}
    found = [(p, fault.line) for p, text in texts.items() for fault in banned(text) if fault.what == ban]
    assert [f"{p.name}:{n}" for p, n in found if not _is_the_guard(p, texts[p].splitlines()[n - 1])] == []


def _is_the_guard(path: Path, line: str) -> bool:
    """The one place that removes trees, after its checks."""
    return path.name == "file.sh" and line.endswith('rm -rf --one-file-system -- "$folder"')


@pytest.mark.parametrize("ban", BANS)
def test_each_ban_can_find_something(ban: str) -> None:
    """A ban that matches nothing at all would protect nothing."""
    examples = (
        "eval x",
        '. "$file"',
        'rm -rf "$x"',
        "kill -9 1",
        "pkill x",
        "sshpass -p x",
        "ps ax | grep x",
        "curl x | bash",
        "-agentlib:jdwp",
        "bash -c x",
        "> /tmp/x",
        "tail -f x",
        "[[ -v names[$key] ]]",
        "echo ${x@U}",
    )
    assert [ban] == list({fault.what: 0 for example in examples for fault in banned(example) if fault.what == ban})


@pytest.mark.parametrize(
    "newer",
    [
        "${name@U}",
        "${names[@]@K}",
        "${names[0]@k}",
        "x=${ date; }",
        "x=${| REPLY=1; }",
        "wait -n -p done_pid",
        "wait -np done_pid",
        "local -I x",
        "local -r -I x",
        "now=$EPOCHSECONDS",
        "((EPOCHREALTIME))",
        "echo $SRANDOM $BASH_ARGV0 $BASH_MONOSECONDS",
        "shopt -s globskipdots",
        "shopt -u patsub_replacement",
        "[[ -v names[@] ]]",
        "printf '%Q' x",
        "read -E x",
        "compgen -V x",
    ],
)
def test_syntax_newer_than_bash_4_4_is_found(newer: str) -> None:
    """Each thing that came later."""
    assert ["syntax that bash 4.4 has not"] == [fault.what for fault in banned(newer)]


@pytest.mark.parametrize(
    "old",
    [
        "${name@Q} ${names[@]@Q} ${name@a}",
        "mapfile -d '' -t names",
        "local -n name=$1",
        "unset 'names[-1]'",
        "wait -n",
        "${names[@]+there} ${#names[@]} ${!names[@]}",
        "[[ -v name ]]",
        "declare -i I=1",
        "${name:-1} $'\\u0041' local -",
        "read -rt 1 -u 3 line",
    ],
)
def test_what_bash_4_4_has_is_fine(old: str) -> None:
    """Everything else."""
    assert () == banned(old)


def test_a_comment_may_name_what_is_banned() -> None:
    """Whole-line comments are for people."""
    assert () == banned("# never eval a value\n  # nor rm -rf a variable\n")


def test_the_agents_functions_and_the_common_ones_share_no_name_by_chance() -> None:
    """agentctl.sh reads both: the later one wins, so that each name of both is meant."""
    words = {"fail", "problem", "put"}  # the same for a person at a terminal as for the puller
    verbs = {"check_status", "start", "stop", "restart", "uninstall", "purge"}  # the agent's own
    assert words | verbs == _functions("agent") & _functions("common")


def _functions(folder: str) -> set[str]:
    texts = [path.read_text() for path in (SCRIPTS / folder).glob("*.sh")]
    return {name for text in texts for name in re.findall(r"^([a-z_]+)\(\)", text, re.MULTILINE)}


@pytest.mark.parametrize("path", CONTROLS, ids=lambda path: path.name)
def test_shape_of_a_kind(path: Path) -> None:
    """Strict mode and a tight umask at the top, dispatch on the last line, short enough to be read."""
    assert () == shape_faults(path.name, path.read_text())
    assert path.stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("was", "is_now"),
    [
        ("#!/usr/bin/env bash", "#!/bin/sh"),
        ("# redisctl.sh:", "# Redis:"),
        ("Healthy means", "It is fine when"),
        ("set -Eeuo pipefail", "set -e"),
        ("umask 077", "umask 022"),
        ('run_verb "$@"', 'run_verb "$@"\n:'),
        ("KIND=redis", "KIND=redis\n" * 260),
        ("KIND=redis", "\tKIND=redis"),
        ("KIND=redis", "KIND=redis "),
        ("KIND=redis", "KIND=redis # " + "x" * 400),
        ("umask 077", "# shellcheck disable=SC2034"),
    ],
)
def test_each_rule_of_the_shape_can_find_something(was: str, is_now: str) -> None:
    """A script that broke it would be told so."""
    text = (SCRIPTS / "redisctl.sh").read_text()
    assert was in text
    assert () != shape_faults("redisctl.sh", text.replace(was, is_now, 1))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_is_long(path: Path) -> None:
    """No script of a thousand lines; none that must be read twice."""
    lines = path.read_text().splitlines()
    assert len(lines) <= 300
    assert [] == [line for line in lines if len(line) > 400 or line != line.rstrip() or "\t" in line]


def test_no_rule_is_switched_off_for_a_whole_file() -> None:
    """Disables stand before the command that they are about."""
    assert [] == [p.name for p in FILES if any("disable=" in line for line in p.read_text().splitlines()[:4])]
