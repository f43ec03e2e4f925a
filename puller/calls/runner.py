"""Script calls. One that changes the host runs under `keeper.sh`, which outlives the puller and leaves a receipt; one
that only looks is read directly."""

import asyncio
import fcntl
import os
import re
import shutil
import signal
import time
from pathlib import Path

from puller.calls.leftovers import end_leftovers
from puller.calls.output import Output
from puller.calls.process import Process, spawn
from puller.crash_points import reached
from puller.ports import Call, Ended, Unavailable

KEEPER = Path(__file__).with_name("keeper.sh")
GRACE_S = 11.0
"""Seconds after its timeout until a call is over, whatever it does: TERM, ten seconds, KILL."""
HELD_OUTPUT_S = 3.0
"""Seconds that a script's end waits for processes that still hold its output."""
MAX_STDOUT = 65537
MAX_STDERR = 1 << 20
_TIMED_OUT = (124, 137)
_RECEIPT = re.compile(rb"exit=(\d{1,3}) seconds=(\d{1,9})")


class ScriptRunner:
    """Runs real scripts."""

    async def run(self, call: Call) -> Ended:
        """Runs a verb that changes the host, under a keeper. Cancelling leaves the keeper at its work."""
        started = time.monotonic()
        try:
            keeper = _begin(call)
        except OSError as error:
            raise Unavailable(f"{call.verb} of {call.service} cannot be begun: {error}") from error
        reached("after_step_spawned")
        await _kept(keeper, call.folder, call.timeout_s + GRACE_S)
        ended = await _result(call, time.monotonic() - started, swept=False)
        if ended is None:
            raise Unavailable(f"{call.verb} of {call.service} left no receipt in {call.folder}: is the disk full?")
        return ended

    async def reattach(self, call: Call) -> Ended | None:
        """How a step ended that an earlier puller started: waits for its keeper. None: nobody knows."""
        await _wait_for_keeper(call.folder, call.timeout_s + GRACE_S)
        ended = await _result(call, 0.0, swept=True)
        if ended is None:
            await _sweep(call)
        return ended

    async def ask(self, call: Call) -> Ended:
        """Runs a verb that only looks. It dies with the puller: its output is a pipe that nobody reads any more."""
        call.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        started = time.monotonic()
        process = spawn(
            ["bash", str(call.script), call.verb], environment=call.environment, folder=call.folder, pipes=True
        )
        with Output(process.stdout, MAX_STDOUT) as out, Output(process.stderr, MAX_STDERR) as err:
            code = await process.wait(call.timeout_s)
            timed_out, leftovers = code is None, 0
            if code is None:
                code = await _stop(process)
            if timed_out or not await out.complete(HELD_OUTPUT_S) or not await err.complete(HELD_OUTPUT_S):
                leftovers = await _sweep(call)
            return Ended(
                exit_code=code,
                stdout=out.data,
                stderr=err.data,
                duration_s=time.monotonic() - started,
                timed_out=timed_out,
                leftovers=leftovers,
            )


def _begin(call: Call) -> Process:
    """A fresh scratch folder, and the keeper in it, with the lock as its standard input."""
    shutil.rmtree(call.folder, ignore_errors=True)
    call.folder.mkdir(parents=True, mode=0o700)
    lock = _locked(call.folder)
    try:
        return spawn(
            ["bash", str(KEEPER), str(call.timeout_s), str(call.script), call.verb],
            environment=call.environment,
            folder=call.folder,
            stdin=lock,
        )
    finally:
        os.close(lock)  # the keeper has it now, and it alone


async def _sweep(call: Call) -> int:
    # `meta` may be asked without any environment; then nothing that it left carries a mark
    return await end_leftovers(call.environment.get("TOWLINE_PREFIX", ""), [call.step])


def _locked(folder: Path) -> int:
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


async def _wait_for_keeper(folder: Path, timeout_s: float) -> None:
    """Until nobody holds the step's lock; a lock that is not there is held by nobody."""
    deadline = time.monotonic() + timeout_s
    while not _lock_is_free(folder) and time.monotonic() < deadline:  # noqa: ASYNC110 - another process holds it
        await asyncio.sleep(0.05)


def _lock_is_free(folder: Path) -> bool:
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


async def _kept(keeper: Process, folder: Path, timeout_s: float) -> None:
    """Waits for the keeper; a process that holds the output of a script that has ended does not hold us."""
    deadline, ended_at = time.monotonic() + timeout_s, 0.0
    while await keeper.wait(min(1.0, max(0.1, deadline - time.monotonic()))) is None:
        now = time.monotonic()
        if not ended_at and (folder / "code").exists():
            ended_at = now
        if ended_at and now - ended_at > HELD_OUTPUT_S:
            keeper.signal_group(signal.SIGTERM)
        if now > deadline:
            keeper.signal_group(signal.SIGKILL)


async def _result(call: Call, duration_s: float, *, swept: bool) -> Ended | None:
    """What the receipt says; None where there is none."""
    exit_code, seconds, stdout = _receipt(call.folder)
    if exit_code is None:
        return None
    timed_out = exit_code in _TIMED_OUT and seconds >= call.timeout_s
    leftovers = await _sweep(call) if timed_out or swept else 0
    return Ended(
        exit_code=exit_code,
        stdout=stdout,
        stderr=_read(call.folder / "err"),
        duration_s=duration_s or float(seconds),
        timed_out=timed_out,
        leftovers=leftovers,
    )


def _receipt(folder: Path) -> tuple[int | None, int, bytes]:
    head, _, stdout = _read(folder / "receipt").partition(b"\n")
    said = _RECEIPT.fullmatch(head)
    return (int(said[1]), int(said[2]), stdout[:MAX_STDOUT]) if said else (None, 0, b"")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


async def _stop(process: Process) -> int:
    """TERM, ten seconds, KILL; how the child ended."""
    for number, patience_s in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        process.signal_group(number)
        code = await process.wait(patience_s)
        if code is not None:
            return code
    return 128 + signal.SIGKILL
