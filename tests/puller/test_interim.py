"""A pass that takes long: others are told while it is on."""

import asyncio
from pathlib import Path

import pytest

from puller.ports import Call, Ended
from puller.reconciling import interim
from tests.fakes.puller import FakePuller, condition, on_a_host, running

DEADLINE_S = 30.0


async def delivered(p: FakePuller, count: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while p.sink.heartbeats < count:  # noqa: ASYNC110 - the sink is polled as a person would
            await asyncio.sleep(0.01)


def test_a_long_pass_is_told_while_it_is_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a step runs the host is reconciling and not ready, its heart beats; the steps are told once, at the end."""
    monkeypatch.setattr(interim, "TELL_AFTER_S", 0.01)
    monkeypatch.setattr(interim, "AGAIN_S", 0.01)

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        real, told = p.host.run, []

        async def slow(call: Call) -> Ended:
            if call.verb == "install":
                await delivered(p, 3)
                told.append(p.sink.last)
            return await real(call)

        monkeypatch.setattr(p.host, "run", slow)
        await p.run_pass()
        (meanwhile,) = told
        assert ("False", "Progressing") == (
            condition(meanwhile.status, "Ready").status,
            condition(meanwhile.status, "Ready").reason,
        )
        assert ("True", None) == (condition(meanwhile.status, "Reconciling").status, meanwhile.run)
        assert ["install", "configure", "start"] == [str(step.verb) for step in p.sink.last.run.steps]
        assert "Converged" == condition(p.sink.last.status, "Ready").reason

    on_a_host(tmp_path, story)


def test_nobody_to_tell_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that is away during a long pass changes nothing in it."""
    monkeypatch.setattr(interim, "TELL_AFTER_S", 0.0)

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        p.sink.away = True
        end = await p.run_pass()
        assert "Converged" == condition(end.status, "Ready").reason

    on_a_host(tmp_path, story)
