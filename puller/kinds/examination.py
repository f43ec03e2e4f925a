"""All checks of a kind in their order, and what each found."""

from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import Literal

from msgspec import Struct

from puller.kinds import empty_host, life, reading
from puller.kinds.scratch import Fault, LeftOut, Scratch


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
    run: Callable[[Scratch], Awaitable[str]]
    do: str


class Finding(Struct, frozen=True, kw_only=True):
    """What a check found, for people."""

    check: str
    outcome: Literal["ok", "fault", "left out"]
    text: str
    do: str = ""


CHECKS = tuple(
    Check(*check)
    for check in (
        ("name", Stage.TEXT, reading.name, "give it a name of its own, in the file's name and in KIND"),
        ("shape", Stage.TEXT, reading.shape, "do as the lines say; `towline kind new` shows the shape"),
        ("bans", Stage.TEXT, reading.bans, "do as the lines say"),
        ("shellcheck", Stage.TEXT, reading.shellcheck, "correct it, or disable the rule for that one command"),
        ("meta", Stage.META, empty_host.meta, "correct the tables PARAMETERS, PACKAGES, VERBS"),
        ("empty host", Stage.EMPTY, empty_host.nothing_there, "look first, and make nothing while looking"),
        ("version", Stage.EMPTY, empty_host.unsupported, "let run_verb compare it with VERSIONS"),
        ("install twice", Stage.LIFE, life.install, "check, already there?, do: by place_package and use_package"),
        ("configure twice", Stage.LIFE, life.configure, "write by `put`; name all CONFIG_FILES; end with `configured`"),
        ("start twice", Stage.LIFE, life.start, "read the reason; `healthy` gives it in REASON"),
        ("looking", Stage.LIFE, life.looking, "check_status and discover only read"),
        (
            "in place again",
            Stage.LIFE,
            life.again,
            "neither install nor configure may stop, start, or depend on what runs",
        ),
        ("secrets", Stage.LIFE, life.secrecy, "let the program read a file that `put` wrote from < <(printf ...)"),
        ("killed", Stage.LIFE, life.killed, "let `look` judge the process; clear what it left, then start"),
        ("restart", Stage.LIFE, life.restart, "leave restart to verb.sh: stop, then start"),
        ("reload", Stage.LIFE, life.reload, "wait until it is true, end with `reloaded`; or take it out of VERBS"),
        (
            "monitoring twice",
            Stage.LIFE,
            life.monitoring,
            "without values take it back; leave the service alone",
        ),
        ("stop twice", Stage.LIFE, life.stop, "leave stop to verb.sh; the program stays in the foreground"),
        ("monitoring gone", Stage.LIFE, life.unwired, "take it out in take_back, which uninstall calls"),
        ("uninstall twice", Stage.LIFE, life.uninstall, "leave uninstall to verb.sh, and name all LINKS"),
        ("purge twice", Stage.LIFE, life.purge, "leave purge to verb.sh; make files only in the service's folder"),
        ("hostile values", Stage.EMPTY, empty_host.hostile, "bound it, refuse it in parameters_fit, or escape it"),
    )
)


async def examine(scratch: Scratch, *, told: Callable[[Finding], None]) -> tuple[Finding, ...]:
    """Every check in order. `told` hears of each as it ends; `scratch.progress` how far the one under way is."""
    found: list[Finding] = []
    barred: dict[Stage, str] = {}
    for check in CHECKS:
        scratch.progress("")
        finding = await _one(check, scratch, barred)
        if finding.outcome == "fault" and check.stage in (Stage.META, Stage.LIFE):
            barred |= {stage: f"{check.name} has a fault" for stage in Stage if stage >= check.stage}
        found.append(finding)
        told(finding)
    return tuple(found)


async def _one(check: Check, scratch: Scratch, barred: dict[Stage, str]) -> Finding:
    why = barred.get(check.stage, "")
    if not why and check.stage is Stage.LIFE and scratch.lacking:
        why = f"needs {scratch.lacking}"
    if why:
        return Finding(check=check.name, outcome="left out", text=why)
    try:
        return Finding(check=check.name, outcome="ok", text=await check.run(scratch))
    except LeftOut as reason:
        return Finding(check=check.name, outcome="left out", text=str(reason))
    except Fault as fault:
        return Finding(check=check.name, outcome="fault", text=str(fault), do=check.do)
