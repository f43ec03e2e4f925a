"""What the agent costs on its host: a pass with nothing to do, the first convergence, memory at rest."""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from desired_state.document import Limits
from tests.bench.enrolled_host import EnrolledHost, enrolled_host, look_bare, run_bare
from tests.bench.measurement import Aim, Measurement

PASSES = 40
_BARE = "import asyncio, sqlite3, ssl; print(flush=True); asyncio.run(asyncio.Event().wait())"


def measure() -> Iterator[Measurement]:
    """One host with ten services, polling its backend over HTTP."""
    with tempfile.TemporaryDirectory(prefix="towline-bench-") as name:
        folder = Path(name)
        with enrolled_host(folder / "enrolled") as host:
            figures = _passes(host)
            yield from _idle_pass(folder, host, figures["own_s"], figures["scripts_s"])
            yield _memory(host)
        yield _convergence(folder, host, figures["converged_s"])


def _passes(host: EnrolledHost) -> dict[str, list[float]]:
    command = [sys.executable, "-m", "tests.bench.passes", str(host.paths.prefix), str(PASSES)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=300, check=True)
    figures: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _idle_pass(folder: Path, host: EnrolledHost, own_s: list[float], scripts_s: list[float]) -> Iterator[Measurement]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    look_bare(host)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    asked_ms = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000
    own_ms = statistics.median(own_s) * 1000
    total_ms = statistics.median(map(sum, zip(own_s, scripts_s, strict=True))) * 1000
    for what, value, aim_ms in (("puller and scripts", total_ms, 30), ("puller alone", own_ms, 5)):
        yield Measurement(
            name=f"pass with nothing to do, 10 services: CPU of {what}",
            value=value,
            unit="ms",
            reference=asked_ms,
            reference_name="asking their ten scripts",
            aim=Aim(at_most=aim_ms),
        )


def _convergence(folder: Path, host: EnrolledHost, converged_s: list[float]) -> Measurement:
    times = []
    for number in range(3):
        began = time.monotonic()
        run_bare(folder / f"bare-{number}", host.services, at_once=Limits().parallel)
        times.append(time.monotonic() - began)
    own_ms, whole_ms = statistics.median(times) * 1000, float(converged_s) * 1000  # type: ignore[arg-type]
    return Measurement(
        name="first convergence of 10 trivial services, beyond the scripts' own time",
        value=whole_ms - own_ms,
        unit="ms",
        reference=own_ms,
        reference_name="the same calls without a puller",
        aim=Aim(at_most=250),
    )


def _memory(host: EnrolledHost) -> Measurement:
    bare = subprocess.Popen([sys.executable, "-c", _BARE], stdout=subprocess.PIPE)
    agent = subprocess.Popen(host.puller("run"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert bare.stdout is not None
        bare.stdout.readline()
        value, reference = _at_rest_mib(agent.pid), _at_rest_mib(bare.pid)
    finally:
        for process in (agent, bare):
            process.terminate()
            process.communicate(timeout=30)
    return Measurement(
        name="memory of the agent at rest",
        value=value,
        unit="MiB RSS",
        reference=reference,
        reference_name="Python with asyncio, sqlite3 and ssl",
        aim=Aim(at_most=60),
    )


def _at_rest_mib(pid: int) -> float:
    """Resident memory once the process has used no CPU for a second."""
    process, deadline = psutil.Process(pid), time.monotonic() + 60
    used, since = process.cpu_times(), time.monotonic()
    while time.monotonic() - since < 1:
        assert time.monotonic() < deadline, "the process does not come to rest"
        time.sleep(0.1)
        if process.cpu_times() != used:
            used, since = process.cpu_times(), time.monotonic()
    return float(process.memory_info().rss) / 2**20
