"""What a look at a healthy service costs: check_status of each kind, on its real software.

As the puller asks it from the second time on: it tells what it has read itself. A first look, and
one by hand, reads that too.
"""

import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.bench.measurement import Aim, Measurement
from tests.scripts.calling import KINDS, end_processes, eventually
from tests.scripts.kinds.case import has_software, real_service

LOOKS = 40
AIM_MS = 30
SETTLES_S = 60


def measure() -> Iterator[Measurement]:
    """CPU of a call and of all that it starts, the service's own aside."""
    for kind in filter(has_software, KINDS):
        look_ms, bare_ms = _look_ms(kind)
        yield Measurement(
            name=f"check_status of {kind}, healthy",
            value=look_ms,
            unit="ms CPU",
            reference=bare_ms,
            reference_name="an empty bash",
            aim=Aim(at_most=AIM_MS),
        )


def _look_ms(kind: str) -> tuple[float, float]:
    """A look, and right after it the reference, so that a busy minute of the machine meets both."""
    with tempfile.TemporaryDirectory(prefix="towline-bench-") as name:
        try:
            service = real_service(kind, Path(name))
            service.do("install", "configure", "start")
            # What has to form answers first, and is well a little later; only then is it the look of a healthy one.
            well = eventually(SETTLES_S, lambda: service.state_now() == "running")
            assert well, f"{kind} is not well: {service.status().reason}"
            known = service.known(service.status())
            look_ms = _cpu_ms(lambda: service.status_again(known))
            return look_ms, _cpu_ms(lambda: subprocess.run(["bash", "-c", ":"], check=True))
        finally:
            end_processes(Path(name))


def _cpu_ms(action: Callable[[], object]) -> float:
    """The mean of many calls, in processes that were waited for: a service of its own session is not among them."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(LOOKS):
        action()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000 / LOOKS
