"""A script and its parts become one file that does the same."""

import subprocess
from pathlib import Path

import pytest

from desired_state.joined_script import NotJoinable, joined

SCRIPT = rb"""#!/usr/bin/env bash
# agentctl.sh: a small one.
set -Eeuo pipefail
here=${BASH_SOURCE[0]%/*}/
# shellcheck source=agent/say.sh
. "${here:-./}agent/say.sh"
# shellcheck source=agent/token.sh
. "${here:-./}agent/token.sh"
main() { say "$(token) $# ${1-}"; }
main "$@"
"""
SAY = rb"""#!/usr/bin/env bash
# say.sh: messages.
# shellcheck shell=bash
say() { printf '%s|%s\n' "said" "$1"; }
fail() { cat <<'END' >&2
. "no part of this"
END
exit 6
}"""
TOKEN = b'# token.sh: reads it.\ntoken() { printf %s "a\\\\b"; }\n'
PARTS = {"agentctl.sh": SCRIPT, "agent/say.sh": SAY, "agent/token.sh": TOKEN, "agent/unused.sh": b"exit 9\n"}


def written(folder: Path, files: dict[str, bytes]) -> Path:
    """Those files below that folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def ran(script: Path, *arguments: str) -> tuple[int, bytes, bytes]:
    """Exit code and output of a script in bash."""
    done = subprocess.run(["bash", str(script), *arguments], capture_output=True, check=False, timeout=20)
    return done.returncode, done.stdout, done.stderr


def refusal(files: dict[str, bytes]) -> str:
    """Why these cannot be joined."""
    with pytest.raises(NotJoinable) as caught:
        joined("agentctl.sh", files)
    return str(caught.value)


def test_the_joined_script_does_what_its_parts_do(tmp_path: Path) -> None:
    """Run alone in another folder it gives the same exit code and output as the script with its parts beside it."""
    many = written(tmp_path / "many", PARTS)
    one = written(tmp_path / "one", {"agentctl.sh": joined("agentctl.sh", PARTS)})
    arguments = ["a b", "'", "$(id)"]
    assert (0, b"said|a\\b 3 a b\n", b"") == ran(many / "agentctl.sh", *arguments)
    assert ran(many / "agentctl.sh", *arguments) == ran(one / "agentctl.sh", *arguments)


def test_parts_stand_where_they_were_taken_in() -> None:
    """Header comments stay, shebangs and shellcheck's source lines go, all else is byte for byte as it was."""
    expected = SCRIPT.replace(b"# shellcheck source=agent/say.sh\n", b"").replace(
        b"# shellcheck source=agent/token.sh\n", b""
    )
    expected = expected.replace(b'. "${here:-./}agent/say.sh"\n', SAY.split(b"\n", 1)[1] + b"\n")
    expected = expected.replace(b'. "${here:-./}agent/token.sh"\n', TOKEN)
    assert expected == joined("agentctl.sh", PARTS)


def test_joining_gives_the_same_bytes_again() -> None:
    """The order in which files are given, and files that are not taken in, do not count; nor does the folder."""
    turned = dict(reversed(list(PARTS.items())))
    below = {f"scripts/{name}": data for name, data in PARTS.items()}
    first = joined("agentctl.sh", PARTS)
    assert [first, first] == [joined("agentctl.sh", turned), joined("scripts/agentctl.sh", below)]


def test_a_joined_script_joins_to_itself() -> None:
    """There is nothing left in it to take in."""
    once = joined("agentctl.sh", PARTS)
    assert once == joined("agentctl.sh", {"agentctl.sh": once})


def test_other_scripts_are_left_to_be_sourced() -> None:
    """What the contract face sources from its bundle is no part."""
    face = b'if [[ -n ${TOWLINE_KIND-} ]]; then\n  . "${here:-./}common.sh"\n  . "${here:-./}agent/contract.sh"\nfi\n'
    assert joined("agentctl.sh", PARTS) + face == joined("agentctl.sh", PARTS | {"agentctl.sh": SCRIPT + face})


@pytest.mark.parametrize(
    "line",
    [
        '. "${here}agent/say.sh"',
        'source "${here:-./}agent/say.sh"',
        '. "${here:-./}agent/say.sh" || exit 1',
        '. "${here:-./}agent/Say.sh"',
        '. "${here:-./}agent/../say.sh"',
        ". agent/say.sh",
    ],
)
def test_another_form_is_refused_by_its_line(line: str) -> None:
    """A line that would look for a part on the host is named, with its number."""
    files = PARTS | {"agentctl.sh": b"#!/usr/bin/env bash\n\n" + line.encode() + b"\n"}
    assert "agentctl.sh, line 3: takes in a part in another form" in refusal(files)


def test_a_missing_part_is_refused_by_its_line() -> None:
    """The line that asks for it is named."""
    files = {name: data for name, data in PARTS.items() if name != "agent/token.sh"}
    assert "agentctl.sh, line 8: there is no file agent/token.sh" == refusal(files)


def test_a_missing_script_is_refused() -> None:
    """So is the script itself."""
    assert "there is no file agentctl.sh" in refusal({})


def test_a_part_within_a_part_is_refused() -> None:
    """Which of two comes first is said in one place."""
    files = PARTS | {"agent/say.sh": b'# say\n. "${here:-./}agent/token.sh"\n'}
    assert "agent/say.sh, line 2: a part takes in no other part" in refusal(files)


def test_a_part_that_is_taken_in_twice_is_refused() -> None:
    """It would define everything again."""
    files = PARTS | {"agentctl.sh": b'. "${here:-./}agent/say.sh"\n' * 2}
    assert "agentctl.sh, line 2: takes in agent/say.sh a second time" in refusal(files)


@pytest.mark.parametrize(
    ("part", "why"),
    [
        (b"say() { :; }\n: \\\n", "agent/say.sh, line 2: its end would run on"),
        (b"say() { :; }\r\n", "agent/say.sh, line 1: holds a carriage return"),
        (b"#\n\0say() { :; }\n", "agent/say.sh, line 2: holds a zero byte"),
    ],
)
def test_a_part_that_would_mean_something_else_is_refused(part: bytes, why: str) -> None:
    """What bash would read in another way once it stands in the middle of a file."""
    assert why in refusal(PARTS | {"agent/say.sh": part})
