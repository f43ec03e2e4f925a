"""Passes of the real puller, measured from inside: python -m tests.bench.passes PREFIX COUNT

Makes one pass that converges the host, then COUNT passes with nothing to do, and prints what each cost as JSON.
"""

import asyncio
import json
import os
import resource
import sys
import time
from pathlib import Path

from puller.logs import configure_logs
from puller.paths import Paths
from puller.reconciling.reconcile import Reconciler
from puller.settings import load_settings
from puller.single_flight import SingleFlight
from puller.wiring import open_parts


def _cpu_s(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


async def _main(prefix: Path, count: int) -> None:
    paths = Paths(prefix)
    with SingleFlight(paths.lock):
        async with open_parts(load_settings(paths, os.environ), paths) as parts:
            reconciler = Reconciler(parts)
            began = time.monotonic()
            first = await reconciler.run_pass("start")
            converged_s = time.monotonic() - began
            ready = {one.type: one.status for one in first.status.conditions}["Ready"]
            assert ready == "True", [one.message for one in first.status.conditions]
            await reconciler.run_pass("schedule")
            own, scripts = [], []
            for _ in range(count):
                before = _cpu_s(resource.RUSAGE_SELF), _cpu_s(resource.RUSAGE_CHILDREN)
                end = await reconciler.run_pass("schedule")
                assert end.findings.plan is not None
                assert end.findings.plan.steps == (), "there was something to do"
                own.append(_cpu_s(resource.RUSAGE_SELF) - before[0])
                scripts.append(_cpu_s(resource.RUSAGE_CHILDREN) - before[1])
    print(json.dumps({"converged_s": converged_s, "own_s": own, "scripts_s": scripts}))


if __name__ == "__main__":
    configure_logs(verbose=False, quiet=True)
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2])))
