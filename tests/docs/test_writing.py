"""The page on writing a kind is followed as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS

PAGE = DOCS / "scripts" / "writing.md"
_PROMPT = "$ "


def steps() -> list[tuple[str, list[str]]]:
    """Each command of the page in order, here-documents included, with the beginnings of lines that it shall print."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        until = ""
        for line in block.splitlines():
            if until or line.startswith(_PROMPT):
                command, shown = (f"{found[-1][0]}\n{line}", found.pop()[1]) if until else (line[len(_PROMPT) :], [])
                found.append((command, shown))
                opened = re.search(r"<<'(\w+)'$", line)
                until = "" if line == until else opened[1] if opened else until
            else:
                found[-1][1].append(line)
    return found


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, list[str], str]]:
    """The page followed in one shell, from an empty folder: commands, what they should say, what they said."""
    folder = tmp_path_factory.mktemp("writing")
    programs = folder / "bin"
    programs.mkdir()
    for name, module in (("towline", "api.cli"), ("towline-puller", "puller.cli")):
        start = f"import sys; from {module} import main; main(prog_name={name!r})"
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} -c "{start}" "$@"\n')
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"}
    if "TOWLINE_TESTED" not in os.environ:
        environment["PYTHONPATH"] = str(DOCS.parent)
    script = ["set -e"]
    for number, (command, _) in enumerate(steps()):
        script += [f"echo '<{number}>'", command]
    (folder / "work").mkdir()
    said = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=folder / "work",
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert 0 == said.returncode, said.stdout[-3000:] + said.stderr[-2000:]
    parts = re.split(r"^<\d+>$", said.stdout, flags=re.MULTILINE)[1:]
    return [(command, shown, part) for (command, shown), part in zip(steps(), parts, strict=True)]


def test_the_page_says_what_its_commands_print(followed: list[tuple[str, list[str], str]]) -> None:
    """Every line that the page shows below a command begins a line that the command printed."""
    missing = [
        (command.splitlines()[0], line)
        for command, shown, said in followed
        for line in shown
        if not any(printed.strip().startswith(line.strip()) for printed in said.splitlines())
    ]
    assert [] == missing
    assert 8 < sum(len(shown) for _, shown, _ in followed)


def test_the_page_ends_with_a_kind_without_faults(followed: list[tuple[str, list[str], str]]) -> None:
    """Each check of the script with its package found nothing; the careless one was found."""
    whole = [said for command, _, said in followed if "--package" in command]
    assert [0, 0] == [said.count("fault ") for said in whole]
    assert [2] == [
        said.count("fault ") for command, _, said in followed if "careless/" in command and "check" in command
    ]


def test_the_page_is_read_whole() -> None:
    """The test would be worth nothing without its commands."""
    commands = [command for command, _ in steps()]
    assert "towline kind new hello" in commands
    assert 3 < sum(command.startswith("towline-puller kind check") for command in commands)
    assert 1 == sum(command.endswith("\nPROGRAM") for command in commands)
