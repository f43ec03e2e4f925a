"""The agent upgrades itself: its own restart ends the puller in the middle of the plan, and another one goes on."""

import signal
from collections import Counter
from pathlib import Path

import pytest

from desired_state.document import Service
from tests.fakes.puller import running
from tests.fakes.real_host import RealHost, real_host

OTHERS = [(name, verb) for name in ("a-first", "z-last") for verb in ("install", "configure", "start")]


def agent(version: str = "2.0", **parameters: str) -> Service:
    """The agent as a service of this host."""
    return running("agent", kind="agent", version=version, parameters=parameters)


def with_an_agent(tmp_path: Path) -> RealHost:
    """A host whose agent runs in version 1.0, as a person installed it: nothing of it is in the record."""
    host = real_host(tmp_path)
    folder = host.prefix / "services/agent"
    folder.mkdir(parents=True)
    (folder / "state").write_text("running")
    (folder / "version").write_text("1.0")
    return host


def finished(host: RealHost) -> Counter[tuple[str, str]]:
    """How often each step came to its end."""
    return Counter((service, verb) for mark, service, verb, _ in host.calls() if mark == "end")


@pytest.mark.parametrize("slow", ["0", "1"], ids=["at once", "and the step goes on for a second"])
def test_the_puller_that_comes_goes_on(tmp_path: Path, slow: str) -> None:
    """The receipt of the restart is found, no step is run twice, what depends on the agent follows, all is reported."""
    host = with_an_agent(tmp_path)
    host.publish(
        agent(p_reload=slow), running("a-first"), running("needs-it", depends_on=("agent",)), running("z-last")
    )
    ended = host.start_pass()
    ended.communicate(timeout=60)
    assert -signal.SIGTERM == ended.returncode
    assert 0 == host.one_pass()
    steps = [*OTHERS, ("agent", "install"), ("agent", "configure"), ("agent", "restart")]
    steps += [("needs-it", verb) for verb in ("install", "configure", "start")]
    assert Counter(steps) == finished(host)
    status = host.delivered()[-1].status
    assert ("synced", "2.0") == (status.sync, next(s.recorded.version for s in status.services if s.name == "agent"))
    told = Counter((s.service, str(s.verb)) for r in host.delivered() if r.run for s in r.run.steps)
    assert Counter(steps) == told


def test_nothing_else_is_under_way_when_the_agent_restarts(tmp_path: Path) -> None:
    """Its restart begins when every step that does not wait for it has ended, however long those take."""
    host = with_an_agent(tmp_path)
    slow = [running(name, parameters={"p_none": "0.3"}) for name in ("a-first", "z-last")]
    host.publish(agent(), *slow)
    ended = host.start_pass()
    ended.communicate(timeout=60)
    calls = [(mark, service, verb) for mark, service, verb, _ in host.calls()]
    before = calls[: calls.index(("begin", "agent", "restart"))]
    assert set(OTHERS) == {(service, verb) for mark, service, verb in before if mark == "end" and service != "agent"}
