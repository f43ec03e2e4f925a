"""All checks of a kind in their order, and what each found."""

from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import Literal

from msgspec import Struct

from puller.kinds import empty_host, life, reading
from puller.kinds.scratch import Fault, LeftOut, Scratch

Progress = Callable[[str], None]


class Stage(IntEnum):
    """What a check stands on."""

    TEXT = 0
    """The file alone."""
    META = 1
    """The script runs."""
    EMPTY = 2
    """What it says of itself is right."""
    LIFE = 3
    """There is all that a service needs, and the check before has passed."""


class Check(Struct, frozen=True):
    """One check. `do`: what to do when it finds a fault."""

    name: str
    stage: Stage
    run: Callable[[Scratch, Progress], Awaitable[str]]
    do: str


class Finding(Struct, frozen=True, kw_only=True):
    """What a check found, for people."""

    check: str
    outcome: Literal["ok", "fault", "left out"]
    text: str
    do: str = ""


def _at_once(run: Callable[[Scratch], Awaitable[str]]) -> Callable[[Scratch, Progress], Awaitable[str]]:
    """A check that is over before anybody asks how far it is."""
    return lambda scratch, _: run(scratch)


CHECKS = (
    Check("name", Stage.TEXT, _at_once(reading.name), "give it a name of its own, in the file's name and in KIND"),
    Check("shape", Stage.TEXT, _at_once(reading.shape), "put it as the lines say; `towline kind new` shows the shape"),
    Check("bans", Stage.TEXT, _at_once(reading.bans), "do what the lines say instead"),
    Check("shellcheck", Stage.TEXT, _at_once(reading.shellcheck), "correct it, or disable the rule for that one command"),
    Check("meta", Stage.META, _at_once(empty_host.meta), "correct the tables PARAMETERS, PACKAGES, VERBS"),
    Check("empty host", Stage.EMPTY, _at_once(empty_host.nothing_there), "look first, and make nothing while looking"),
    Check("version", Stage.EMPTY, _at_once(empty_host.unsupported), "let run_verb compare it with VERSIONS"),
    Check("install twice", Stage.LIFE, _at_once(life.install), "check, already there?, do: through place_package and use_package"),
    Check("configure twice", Stage.LIFE, _at_once(life.configure), "write by `put` only; name each file in CONFIG_FILES; end with `configured`"),
    Check("start twice", Stage.LIFE, _at_once(life.start), "see the service's own words in log/; `healthy` says why in REASON"),
    Check("looking", Stage.LIFE, _at_once(life.looking), "check_status and discover only read"),
    Check("secrets", Stage.LIFE, _at_once(life.secrecy), "let the program read a file that `put` wrote from < <(printf ...)"),
    Check("killed", Stage.LIFE, _at_once(life.killed), "let `look` judge the process; clear what it left before the start"),
    Check("restart", Stage.LIFE, _at_once(life.restart), "leave restart to verb.sh: stop, then start"),
    Check("reload", Stage.LIFE, _at_once(life.reload), "wait until it is true and end with `reloaded`, or take it out of VERBS"),
    Check("stop twice", Stage.LIFE, _at_once(life.stop), "leave stop to verb.sh, and keep the program in the foreground"),
    Check("uninstall twice", Stage.LIFE, _at_once(life.uninstall), "leave uninstall to verb.sh, and name all links in LINKS"),
    Check("purge twice", Stage.LIFE, _at_once(life.purge), "leave purge to verb.sh, and make files below the service's folder only"),
    Check("hostile values", Stage.EMPTY, empty_host.hostile, "bound it in PARAMETERS, refuse it in parameters_fit, or escape it where it is written"),
)  # fmt: skip


async def examine(scratch: Scratch, *, told: Callable[[Finding], None], progress: Progress) -> tuple[Finding, ...]:
    """Every check in order. `told` hears of each as it ends, `progress` how far the one is that is under way."""
    found: list[Finding] = []
    barred: dict[Stage, str] = {}
    for check in CHECKS:
        progress("")
        finding = await _one(check, scratch, barred, progress)
        if finding.outcome == "fault" and check.stage in (Stage.META, Stage.LIFE):
            barred |= {stage: f"{check.name} has a fault" for stage in Stage if stage >= check.stage}
        found.append(finding)
        told(finding)
    return tuple(found)


async def _one(check: Check, scratch: Scratch, barred: dict[Stage, str], progress: Progress) -> Finding:
    try:
        if check.stage in barred:
            raise LeftOut(barred[check.stage])
        if check.stage is Stage.LIFE and scratch.lacking:
            raise LeftOut(f"needs {scratch.lacking}")
        return Finding(check=check.name, outcome="ok", text=await check.run(scratch, progress))
    except LeftOut as reason:
        return Finding(check=check.name, outcome="left out", text=str(reason))
    except Fault as fault:
        return Finding(check=check.name, outcome="fault", text=str(fault), do=check.do)
