"""The agent itself, by a stand-in of its archive; the real one is run in tests/vm."""

import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.agent.prefix import archive, digest_of
from tests.middleware import Package
from tests.scripts.calling import Service
from tests.scripts.kinds.case import Case, Real


@cache
def _packages() -> Mapping[str, Package]:
    path = archive(Path(tempfile.mkdtemp(prefix="towline-agent-archive-")), "1.0.0")
    return {
        "release": Package(name="towline-agent", version="1.0.0", path=path, digest=f"sha256:{digest_of(path)}"),
    }


def _prepare(service: Service) -> None:
    """As `agentctl.sh install` by hand leaves a host on which nobody looks after the agent but its operator."""
    agent = service.prefix / "agent"
    agent.mkdir(parents=True, exist_ok=True)
    (agent / "installed").write_text("mode=none\n")


def _probe(service: Service) -> str:
    return service.state_now()


CASE = Case(
    version="1.0.0",
    packages=_packages,
    parameters=lambda _: {"trial_timeout": "30s"},
    bad=(("trial_timeout", "soon"), ("trial_timeout", "5s"), ("trial_timeout", "2d"), ("colour", "blue")),
    real=Real(software=(), probe=_probe),
    prepare=_prepare,
    stays="the agent carries out documents: stopped or removed by one, nobody would be left to take that back",
)
