"""The pass, on a host in memory: what it does, what it leaves alone, and what it says of it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.fakes.puller import FakePuller, condition, fake_puller, running

Story = Callable[[FakePuller], Awaitable[None]]


def on_a_host(tmp_path: Path, story: Story) -> None:
    async def tell() -> None:
        async with fake_puller(tmp_path) as puller:
            await story(puller)

    asyncio.run(tell())


def test_first_pass_brings_the_service(tmp_path: Path) -> None:
    """A host that never had a document installs, configures and starts what it is told, and is ready."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        end = await p.run_pass()
        assert [("one", "install"), ("one", "configure"), ("one", "start")] == p.host.calls
        assert ("True", "Converged") == (condition(end.status, "Ready").status, condition(end.status, "Ready").reason)
        assert ["done", "done", "done"] == [step.outcome for step in p.sink.last.run.steps]

    on_a_host(tmp_path, story)


def test_nothing_to_do_does_nothing(tmp_path: Path) -> None:
    """The second pass runs no changing script, asks no script, writes no report."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one", health={"interval_s": 3600}))
        await p.run_pass()
        p.host.calls.clear()
        p.host.looks.clear()
        await p.run_pass()
        assert ([], [], 1) == (p.host.calls, p.host.looks, len(p.sink.reports))

    on_a_host(tmp_path, story)


def test_a_week_of_nothing_grows_nothing(tmp_path: Path) -> None:
    """10,080 passes with nothing to do leave every table with the rows it had."""

    async def story(p: FakePuller) -> None:
        await p.store.execute("PRAGMA synchronous = OFF")
        p.publish(*(running(f"s{n}") for n in range(3)))
        await p.run_pass()
        before = await p.rows()
        for _ in range(10_080):
            await p.run_pass()
        assert before == await p.rows()
        assert (1, 10_081) == (len(p.sink.reports), p.sink.heartbeats)

    on_a_host(tmp_path, story)
