"""When the agent makes passes, with its own parts on a host in memory."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from puller import agent as agent_module
from puller.agent import Agent
from puller.clock import SystemClock
from tests.fakes.puller import FakePuller, on_a_host, running
from tests.fakes.script_host import failing

DEADLINE_S = 30.0


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not what():  # noqa: ASYNC110 - what is waited for is no event
            await asyncio.sleep(0.02)


async def with_agent(p: FakePuller, story: Callable[[Agent], object]) -> None:
    agent = Agent(replace(p.parts, clock=SystemClock()))
    task = asyncio.create_task(agent.run())
    try:
        await story(agent)  # type: ignore[misc]
    finally:
        agent.stop()
        await task


def test_a_clock_that_was_set_back_does_not_stop_the_polls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a scheduler that sleeps until a date far away, the monotonic clock makes the polls."""
    monkeypatch.setattr(agent_module, "LATE_S", 0.2)
    monkeypatch.setattr(agent_module.AsyncIOScheduler, "add_job", lambda *_, **__: None)

    async def story(p: FakePuller) -> None:
        p.publish(running("one"), poll_interval_s=1)

        async def told(_: Agent) -> None:
            await until(lambda: p.sink.heartbeats >= 3)

        await with_agent(p, told)

    on_a_host(tmp_path, story)


def test_a_pass_that_fails_is_not_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw is logged, and the agent goes on."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"), poll_interval_s=3600)
        real, failed = p.host.different, asyncio.Event()

        async def broken(_: object) -> frozenset[str]:
            failed.set()
            raise RuntimeError("nobody foresaw this")

        async def told(agent: Agent) -> None:
            await until(failed.is_set)
            monkeypatch.setattr(p.host, "different", real)
            agent.wake("schedule")
            await until(lambda: p.host.service("one").state == "running")

        monkeypatch.setattr(p.host, "different", broken)
        await with_agent(p, told)

    on_a_host(tmp_path, story)


def test_what_failed_is_tried_again_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure the agent does not wait for the next poll, but for the backoff's end."""
    monkeypatch.setattr("desired_state.retry.BASE_S", 0.2)

    async def story(p: FakePuller) -> None:
        p.host.faults["one", "start"] = failing(1)
        p.publish(running("one"), poll_interval_s=3600)

        async def told(_: Agent) -> None:
            await until(lambda: ("one", "start") in p.host.calls)
            p.host.faults.clear()
            await until(lambda: p.host.service("one").state == "running")

        await with_agent(p, told)

    on_a_host(tmp_path, story)
