"""The life of a host, drawn from a seed: documents good and bad, deaths, edits, failures, crashes, silence.

Afterwards the faults end, and whatever happened the host is in its newest document, and every report has arrived once.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from desired_state.contract import Verb
from desired_state.document import Service
from puller.store import Store
from tests.core.publisher import STRANGER, note_of
from tests.fakes.puller import FakePuller, condition, on_a_host, running
from tests.fakes.script_host import failing

NAMES = ("alpha", "beta", "gamma")
EVENTS = 40
SEEDS = range(25)


class Killed(BaseException):
    """The puller is gone: nothing after this point of it happens."""


class Life:
    """Draws what happens next."""

    def __init__(self, p: FakePuller, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.p, self.chance, self.patch = p, random.Random(seed), monkeypatch
        self.accepted: list[int] = []

    async def event(self) -> None:
        happens: list[Callable[[], None]] = [self.publish, self.publish, self.kill, self.edit, self.fail, self.heal]
        happens += [self.lie, self.silence, self.speak, self.restart]
        self.chance.choice(happens)()
        if self.chance.random() < 0.2:
            await self.pass_that_dies()
        else:
            await self.one_pass()

    async def one_pass(self) -> None:
        self.p.clock.advance(self.chance.choice((-30, 0, 600)))
        end = await self.p.run_pass()
        self.accepted.append(end.status.accepted_revision or 0)
        assert self.accepted == sorted(self.accepted), "the ratchet went back"

    async def pass_that_dies(self) -> None:
        """The n-th transaction is the last thing that this puller does, or it is not even begun."""
        left, real, after = self.chance.randint(1, 8), Store.transact, self.chance.random() < 0.5

        async def transact(store: Store, question: object, *args: object, **kwargs: object) -> object:
            nonlocal left
            left -= 1
            if left < 0 or (left == 0 and not after):
                raise Killed
            result = await real(store, question, *args, **kwargs)  # type: ignore[arg-type]
            if left == 0:
                raise Killed
            return result

        with self.patch.context() as patch:
            patch.setattr(Store, "transact", transact)
            with suppress(Killed, BaseExceptionGroup):
                await self.p.run_pass()
        self.restart()

    def services(self) -> list[Service]:
        chosen = [name for name in NAMES if self.chance.random() < 0.8]
        states = ("running", "running", "running", "stopped", "absent")
        versions = ("1.0", "2.0")
        return [
            running(
                name,
                version=self.chance.choice(versions),
                state=self.chance.choice(states),
                parameters={f"p_{self.chance.choice(('reload', 'restart', 'none'))}": self.chance.choice("123")},
            )
            for name in chosen
        ]

    def publish(self) -> None:
        self.p.publish(*self.services(), mode=self.chance.choice(("enforce", "enforce", "enforce", "audit")))

    def kill(self) -> None:
        name = self.chance.choice(NAMES)
        if self.p.host.service(name).state == "running":
            self.p.host.kill(name)

    def edit(self) -> None:
        name = self.chance.choice(NAMES)
        if self.p.host.service(name).config:
            self.p.host.edit(name)

    def fail(self) -> None:
        verb = self.chance.choice((Verb.INSTALL, Verb.CONFIGURE, Verb.START, Verb.STOP, Verb.CHECK_STATUS))
        self.p.host.faults[self.chance.choice(NAMES), verb] = failing(self.chance.choice((1, 1, 2, 6, 124)))

    def heal(self) -> None:
        self.p.host.faults.clear()

    def lie(self) -> None:
        self.p.source.put(self.chance.choice((b"", b"rubbish", None, note_of(STRANGER, revision=10**6))))

    def silence(self) -> None:
        self.p.source.away = self.p.sink.away = True

    def speak(self) -> None:
        self.p.source.away = self.p.sink.away = False

    def restart(self) -> None:
        self.p.restart()

    async def end(self) -> None:
        """The faults end, and a last document comes that names every service."""
        self.heal()
        self.speak()
        self.p.publish(*(running(name) for name in NAMES))
        for _ in range(3):
            self.p.clock.advance(700)
            end = await self.p.run_pass()
        ready = condition(end.status, "Ready")
        assert ("True", "Converged") == (ready.status, ready.reason), ready.message
        assert {"running"} == {self.p.host.service(name).state for name in NAMES}


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_it_ends_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """After the faults: converged, the record is what is on the host, all reports are there, once, in order."""

    async def story(p: FakePuller) -> None:
        await p.store.execute("PRAGMA synchronous = OFF")
        life = Life(p, seed, monkeypatch)
        for _ in range(EVENTS):
            await life.event()
        await life.end()
        seqs = sorted(report.seq for report in p.sink.reports.values())
        assert list(range(1, len(seqs) + 1)) == seqs
        recorded = {service.name: service.recorded for service in p.sink.last.status.services}
        there = {name: (p.host.service(name).version, p.host.service(name).config) for name in NAMES}
        assert there == {name: (entry.version, entry.config) for name, entry in recorded.items() if entry}
        assert ("ok",) == await p.store.read(lambda db: db.execute("PRAGMA integrity_check").fetchone())
        assert 0 == (await p.rows())["outbox"]

    on_a_host(tmp_path, story)
