"""What the commands of `towline-puller` do."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from msgspec.structs import replace

from puller.alive import NoAnswer, ask
from puller.clock import SystemClock
from puller.disk import trouble
from puller.paths import Paths
from puller.ports import Stalled, Unavailable
from puller.settings import load_settings
from puller.single_flight import SingleFlight, holder
from puller.status import LocalStatus, read_status
from puller.store import modes, open_store
from puller.store.modes import Suspension
from puller.telling import tell, tell_plan

PASS_DEADLINE_S = 1800.0
"""So long `once` waits for the pass of a running agent."""


def run_agent(paths: Paths, environ: Mapping[str, str]) -> None:
    """`run`."""
    from puller.agent import Agent  # noqa: PLC0415 - APScheduler is not needed for anything else
    from puller.disk_wait import until_writable  # noqa: PLC0415
    from puller.wiring import open_parts  # noqa: PLC0415

    settings = load_settings(paths, environ)

    async def work() -> None:
        async with open_parts(settings, paths) as parts:
            await Agent(parts).run()

    while True:
        try:
            with _alone(paths):
                asyncio.run(work())
        except Exception as error:
            disk = trouble(error, paths.state)
            if disk is None:
                raise
        else:
            return
        with _alone_if_it_can(paths):
            if not asyncio.run(until_writable(paths, disk)):
                return


@contextmanager
def _alone(paths: Paths) -> Iterator[None]:
    """As the one puller of this host. Whoever wakes it too early must not end it: by default these signals would."""
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, lambda *_: None)
    with SingleFlight(paths.lock):
        yield


@contextmanager
def _alone_if_it_can(paths: Paths) -> Iterator[None]:
    """As the one puller of this host; where the lock cannot even be made, without: nothing can be done there anyway."""
    with ExitStack() as stack:
        try:
            stack.enter_context(_alone(paths))
        except OSError as error:
            if trouble(error, paths.state) is None:
                raise
        yield


def make_one_pass(paths: Paths, environ: Mapping[str, str], *, allow_removals: int | None) -> None:
    """`once`: in this process, or by the agent that runs."""
    settings = load_settings(paths, environ)
    if holder(paths.lock) is not None:
        _ask_agent(paths, allow_removals)
        return

    async def work() -> None:
        from puller.answering import answering  # noqa: PLC0415
        from puller.life import Life  # noqa: PLC0415
        from puller.reconciling.reconcile import Reconciler  # noqa: PLC0415
        from puller.wiring import open_parts  # noqa: PLC0415

        async with open_parts(settings, paths) as parts:
            # It has the lock, so whoever keeps the agent alive asks it whether it lives, and must not end it.
            life = Life(clock=parts.clock, version=parts.agent_version, has_sink=False, doing="makes one pass")
            with answering(paths, life.word):
                await Reconciler(parts).run_pass("request", allow_removals=allow_removals, insist=True)

    with _alone(paths):
        asyncio.run(work())


def make_plan(paths: Paths, environ: Mapping[str, str], *, as_json: bool) -> tuple[str, int]:
    """`plan`: text or JSON, and the exit code."""
    from puller.reconciling.reconcile import Reconciler  # noqa: PLC0415
    from puller.wiring import open_parts  # noqa: PLC0415

    settings = load_settings(paths, environ)

    async def work() -> tuple[str, int]:
        async with open_parts(settings, paths) as parts:
            found = await Reconciler(parts).preview()
        note = found.taken.refused.message if found.taken.refused else found.taken.unavailable
        code = 1 if found.plan is None else 2 if found.plan.steps or found.plan.held else 0
        if as_json:
            return msgspec.json.format(msgspec.json.encode(found.plan)).decode() + "\n", code
        return tell_plan(found.plan, mode=found.allowed.mode, note=note), code

    return asyncio.run(work())


def show_status(paths: Paths, *, as_json: bool) -> tuple[str, int]:
    """`status`: text or JSON, and the exit code."""
    local, now = _with_reason(read_status(paths), paths), SystemClock().now()
    if as_json:
        return msgspec.json.format(msgspec.json.encode(local)).decode() + "\n", local.exit_code(now)
    return tell(local, now), local.exit_code(now)


def _with_reason(local: LocalStatus, paths: Paths) -> LocalStatus:
    """Why reports wait stands in no table: the agent that runs knows it."""
    if not local.waiting_reports or local.agent_pid is None:
        return local
    with suppress(NoAnswer):  # it hangs: what the database says is told all the same
        return replace(local, undelivered=str(ask(paths.socket).get("undelivered", "")))
    return local


def examine_host(paths: Paths, environ: Mapping[str, str], *, as_json: bool, bundle: Path | None) -> tuple[str, int]:
    """`doctor`: text or JSON, and the exit code. Raises Unavailable when the bundle cannot be written."""
    from puller.doctor.bundle import write_bundle  # noqa: PLC0415
    from puller.doctor.examination import examine  # noqa: PLC0415
    from puller.doctor.telling import tell as tell_findings  # noqa: PLC0415

    found = asyncio.run(examine(paths, environ))
    if bundle is not None:
        try:
            write_bundle(bundle, found, paths, environ)
        except OSError as error:
            raise Unavailable(f"{bundle} cannot be written: {error.strerror}") from error
    if as_json:
        return msgspec.json.format(msgspec.json.encode(found)).decode() + "\n", found.exit_code
    return tell_findings(found) + (f"\nfor the ticket: {bundle}\n" if bundle else ""), found.exit_code


def suspend_host(paths: Paths, reason: str, duration: timedelta | None) -> str:
    """`suspend`; what to tell."""
    now = SystemClock().now()
    until = now + duration if duration else None
    _write(paths, modes.suspend, Suspension(reason=reason[:500], until=until, since=now))
    _wake(paths)
    return "suspended " + (f"until {until:%Y-%m-%d %H:%M} UTC" if until else "until resumed") + f": {reason}"


def resume_host(paths: Paths) -> str:
    """`resume`; what to tell."""
    _write(paths, modes.resume)
    _wake(paths)
    return "resumed: the document's mode is in force again"


def enrol_host(
    paths: Paths,
    *,
    token_file: BinaryIO,
    ca_file: Path | None,
    metrics_dir: Path | None,
    directory: Path | None,
    force: bool,
    **git: Any,
) -> str:
    """`enroll`; what to tell."""
    from puller.enrolment import enrol, read_join_token, settings_before  # noqa: PLC0415
    from puller.transport.http_client import HttpClient  # noqa: PLC0415

    token = read_join_token(token_file)
    clock = SystemClock()
    metrics = metrics_dir.absolute() if metrics_dir else None
    authorities = ca_file.absolute() if ca_file else None
    trusted = authorities or settings_before(token, paths, force=force).ca_file

    async def work() -> str:
        async with HttpClient(clock=clock, ca_file=trusted) as client:
            enrolled = await enrol(
                token,
                paths,
                client,
                clock,
                ca_file=authorities,
                metrics_dir=metrics,
                source=_source(directory, git),
                force=force,
            )
        keys = ", ".join(enrolled.publishers)
        return f"{enrolled.settings.host} is enrolled; it believes {keys}. Next: towline-puller run"

    return asyncio.run(work())


def adjust_host(
    paths: Paths, *, ca_file: Path | None, metrics_dir: Path | None, directory: Path | None, backend: bool, **git: Any
) -> str:
    """`adjust`; what to tell."""
    from puller.adjustment import Given, adjust  # noqa: PLC0415
    from puller.enrolment import is_enrolled  # noqa: PLC0415

    if not is_enrolled(paths):
        raise Stalled("this host is not enrolled: towline-puller enroll takes these options too")
    source = _source(directory, git)
    if backend and source:
        raise Stalled("say either --backend or where else documents come from, not both")
    given = Given(
        ca_file=ca_file.absolute() if ca_file else None,
        metrics_dir=metrics_dir.absolute() if metrics_dir else None,
        source={"type": "http"} if backend else source,
    )
    if not adjust(paths, given):
        return "the settings are so already"
    return "the settings are changed; an agent that runs takes them when it is restarted"


def _source(directory: Path | None, git: Mapping[str, Any]) -> dict[str, Any]:
    given = {name.removeprefix("git_"): value for name, value in git.items() if value is not None}
    if directory is not None:
        if given:
            raise Stalled("say either --directory or the options of git, not both")
        return {"type": "directory", "path": directory.absolute()}
    if not given:
        return {}
    absolute = {name: value.absolute() if isinstance(value, Path) else value for name, value in given.items()}
    return {"type": "git", **absolute}


def _ask_agent(paths: Paths, allow_removals: int | None) -> None:
    """Leaves a request in the store, wakes the agent, and waits for the pass that answers it."""
    request = _write(paths, modes.ask, allow_removals, SystemClock().now())
    _wake(paths)
    deadline = time.monotonic() + PASS_DEADLINE_S
    while not _write(paths, modes.answered, request):
        if holder(paths.lock) is None:
            raise Unavailable("the agent ended before it made the pass; run this again")
        if time.monotonic() > deadline:
            raise Unavailable("the agent has not made the pass yet; it is still asked to: see towline-puller status")
        time.sleep(0.1)


def _wake(paths: Paths) -> None:
    """Asks the running puller, if there is one, for a pass now."""
    agent = holder(paths.lock)
    if agent is not None:
        os.kill(agent, signal.SIGUSR1)


def _write(paths: Paths, question: Any, *arguments: Any) -> Any:
    """One transaction beside whoever else uses the store."""
    if not paths.trust.exists():
        raise Stalled(f"this host is not enrolled ({paths.trust} is not there): towline-puller enroll")

    async def work() -> Any:
        store = await open_store(paths.database, lock=paths.lock)
        try:
            return await store.transact(question, *arguments)
        finally:
            await store.close()

    return asyncio.run(work())
