"""What all commands share: settings, one event loop, errors as exit codes.

Exit codes: 0 done; 1 refused; 2 wrong usage (`plan`: there are changes); 75 try later; 78 wrong settings.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from api.errors import Misconfigured, Refused, TryLater
from api.logs import configure_logs
from api.settings import Settings
from api.settings_file import load_settings
from desired_state.catalogue import Problem

TRY_LATER = 75
WRONG_SETTINGS = 78
T = TypeVar("T")


def settings_of(config: Path | None) -> Settings:
    """The settings; ends the command with exit code 78 when they are wrong."""
    try:
        return load_settings(config, os.environ)
    except Misconfigured as error:
        _end(str(error), WRONG_SETTINGS)


def run(work: Coroutine[Any, Any, T], *, loop: Callable[[], asyncio.AbstractEventLoop] | None = None) -> T:
    """The result of this work; ends the command when it is refused. `loop` makes another event loop than asyncio's."""
    configure_logs()
    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            return runner.run(work)
    except Refused as error:
        _end("\n".join([error.detail, *(line_of(problem) for problem in error.problems)]), 1)
    except TryLater as error:
        _end(f"{error.detail}; try again in {error.retry_after_s} s", TRY_LATER)
    except Misconfigured as error:
        _end(str(error), WRONG_SETTINGS)


def line_of(problem: Problem) -> str:
    """One line for people and editors: file, line, field, message."""
    place = f"{problem.file}:{problem.line}: " if problem.file else ""
    field = f"{problem.pointer}: " if problem.pointer else ""
    warning = "" if problem.severity == "error" else f"{problem.severity}: "
    return f"{place}{warning}{field}{problem.message}"


def _end(message: str, code: int) -> NoReturn:
    click.echo(f"towline: {message}", err=True)
    sys.exit(code)
