"""What no script may do, as tests: each ban was seen to go wrong somewhere."""

import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.scripts.calling import KINDS, SCRIPTS

FILES = sorted(SCRIPTS.rglob("*.sh"))
CONTROLS = [SCRIPTS / f"{kind}ctl.sh" for kind in KINDS]
BANS = {
    "eval": r"\beval\b",
    "sourcing of anything but a sibling script": r'^\s*(\.|source)\s+(?!"\$(COMMON|\{here:-\./\}))',
    "removing a tree outside remove_tree": r"\brm\s+(-\w*\s+)*-\w*[rR]",
    "killing without asking first": r"\bkill\s+(-9|-KILL|-s\s+(9|KILL|SIGKILL))",
    "killing by name": r"\b(pkill|killall)\b",
    "a password in a command line": r"\bsshpass\b|REDISCLI_AUTH|--password=|requirepass \"?\$\(",
    "finding a process by its text": r"\bps\b.*\|\s*grep|\bpgrep\b|\bpidof\b",
    "running what a network says": r"(curl|wget)\b.*\|\s*(ba)?sh",
    "a debug port open by default": r"address=\*|-agentlib:jdwp",
    "a command of a string": r"\b(bash|sh)\s+-c\b",
    "a fixed file in a shared folder": r"/tmp/",
    "an unbounded wait": r"\bsleep\s+infinity\b|\btail\s+-f\b",
}


def code_of(path: Path) -> list[tuple[int, str]]:
    """Lines with their numbers, without whole-line comments."""
    lines = enumerate(path.read_text().splitlines(), start=1)
    return [(number, line) for number, line in lines if not line.lstrip().startswith("#")]


@pytest.mark.parametrize("ban", BANS)
def test_banned(ban: str) -> None:
    """No script does it."""
    found = [f"{p.name}:{n}: {line}" for p in FILES for n, line in code_of(p) if re.search(BANS[ban], line)]
    assert [line for line in found if not _is_the_guard(line)] == []


def _is_the_guard(line: str) -> bool:
    """The one place that removes trees, after its checks."""
    return line.startswith("file.sh:") and line.endswith('rm -rf --one-file-system -- "$folder"')


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
    )
    assert any(re.search(BANS[ban], example) for example in examples)


@pytest.mark.parametrize("path", CONTROLS, ids=lambda path: path.name)
def test_shape_of_a_kind(path: Path) -> None:
    """Strict mode and a tight umask at the top, dispatch on the last line, short enough to be read."""
    lines = path.read_text().splitlines()
    assert "#!/usr/bin/env bash" == lines[0]
    assert re.match(rf"# {path.name}: .*", lines[1])
    assert "Healthy means" in "\n".join(lines[1:4])
    assert {"set -Eeuo pipefail", "umask 077"} <= set(lines[:8])
    assert 'run_verb "$@"' == lines[-1]
    assert len(lines) <= 260
    assert path.stat().st_mode & 0o111


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_is_long(path: Path) -> None:
    """No script of a thousand lines; none that must be read twice."""
    lines = path.read_text().splitlines()
    assert len(lines) <= 300
    assert [] == [line for line in lines if len(line) > 400 or line != line.rstrip() or "\t" in line]


@pytest.mark.parametrize("path", [*CONTROLS, SCRIPTS / "common/launcher.sh"], ids=lambda path: path.name)
def test_shellcheck_is_clean(path: Path) -> None:
    """With everything that it sources."""
    program = Path(sysconfig.get_path("scripts")) / "shellcheck"
    command = [str(program), "--external-sources", "--check-sourced", "--source-path=SCRIPTDIR", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "" == said.stdout


def test_no_rule_is_switched_off_for_a_whole_file() -> None:
    """Disables stand before the command that they are about."""
    assert [] == [p.name for p in FILES if any("disable=" in line for line in p.read_text().splitlines()[:4])]
