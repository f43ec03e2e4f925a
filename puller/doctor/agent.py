"""The agent itself: does it live, does it make passes, which release, what does it say of this host?"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from puller import alive
from puller.doctor.case import Case
from puller.doctor.finding import Finding, fault, ok, skipped, warning
from puller.status import EXIT_READY, EXIT_STALLED, read_status
from puller.telling import ADVICE

POLLS_MISSED = 3


def agent(case: Case) -> Iterator[Finding]:
    """Its own answer on the local socket, and the age of its last completed pass."""
    stopped = _read(case.paths.agent / "stopped")
    facts, code = alive.alive(case.paths)
    if code == alive.EXIT_NOT_RUNNING:
        if stopped:
            yield warning(
                f"no agent runs: an operator stopped it ({' '.join(stopped.split())[:200]})", "agentctl.sh start"
            )
        else:
            yield fault("no agent runs on this host", "agentctl.sh start, or towline-puller run; why not: see its log")
        return
    if code == alive.EXIT_NOT_SERVING:
        yield fault(
            f"the agent (pid {facts['pid']}) does not serve: {facts['message']}", "agentctl.sh restart; keep its log"
        )
        return
    yield _age(case, facts)


def _age(case: Case, facts: dict[str, object]) -> Finding:
    age, interval = facts.get("pass_age_s"), _interval(case)
    told = f"pid {facts['pid']}, version {facts['version']}, up {facts['up_s']} s, {facts['passes']} passes"
    if str(facts.get("reason", "")).startswith("Disk"):  # also where the file system does not look like it
        what, _, advice = str(facts["message"]).partition("What to do: ")
        return fault(f"{told}; {what.strip()}", advice or "look at dmesg")
    if not isinstance(age, int):
        return warning(
            f"{told}; none is completed yet: {facts.get('message')}", "wait for the first pass, or see its log"
        )
    if age > POLLS_MISSED * interval + 10:
        advice = "a long step explains it (towline-puller status); else agentctl.sh restart"
        return warning(f"{told}; the last one ended {age} s ago, and one is due every {interval} s", advice)
    return ok(f"{told}; the last one ended {age} s ago{_good(facts)}")


def _good(facts: dict[str, object]) -> str:
    if facts.get("ready") == "True":
        return ", a good one"
    age = facts.get("good_pass_age_s")
    return ", none was good" if age is None else f", the last good one {age} s ago"


def status(case: Case) -> Iterator[Finding]:
    """The conditions that the last pass recorded."""
    local = read_status(case.paths)
    if local.status is None:
        yield skipped("no pass was ever recorded")
        return
    code = local.exit_code(case.clock.now())
    if code == EXIT_READY:
        yield ok(f"ready; health {local.status.health}, mode {local.status.mode}")
        return
    if local.is_stale(case.clock.now()):
        yield warning(f"the last pass ended at {local.last_pass:%Y-%m-%d %H:%M} UTC", "see the finding on the agent")
    for condition in local.status.conditions:
        wrong = condition.status != "True" if condition.type == "Ready" else condition.status == "True"
        if not wrong:
            continue
        told = f"{condition.type} is {condition.status} ({condition.reason}): {condition.message}".rstrip(": ")
        advice = ADVICE.get(condition.reason, "towline-puller status has more")
        yield fault(told, advice) if code == EXIT_STALLED and condition.type == "Stalled" else warning(told, advice)


def releases(case: Case) -> Iterator[Finding]:
    """Releases on trial, and those that proved bad."""
    folder = case.paths.agent
    if not folder.is_dir():
        yield skipped("this agent was not installed by agentctl.sh")
        return
    current = folder / "current"
    if current.is_symlink() and not current.exists():
        yield fault(f"{current} leads to {current.readlink()}, which is not there", "agentctl.sh install")
    elif current.is_symlink():
        yield ok(f"current is {current.resolve().name}")
    trial = _facts(folder / "trial")
    if trial:
        yield warning(
            f"release {trial.get('release', '?')} is on trial, from {trial.get('from', '?')}",
            f"wait: it is undone by itself when it does not prove itself in {trial.get('timeout_s', '?')} s",
        )
    for refused in sorted((folder / "refused").iterdir()) if (folder / "refused").is_dir() else ():
        said = _facts(refused)
        undecided = " (not decided yet)" if said.get("undecided") else ""
        advice = "give the document another version; the old one runs on"
        yield warning(
            f"release {refused.name} was undone{undecided}: {said.get('reason', 'no reason is kept')}", advice
        )


def _interval(case: Case) -> int:
    try:
        return read_status(case.paths).poll_interval_s
    except sqlite3.Error:
        return 60


def _facts(file: Path) -> dict[str, str]:
    """key=value lines."""
    return dict(line.split("=", 1) for line in _read(file).splitlines() if "=" in line)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")[:10_000]
    except FileNotFoundError:
        return ""
