"""A host in memory: what scripts would do to it, without any. Runner and Glance of the pass."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from desired_state.contract import Verb
from desired_state.names import digest_of
from desired_state.observed import Observation
from puller.ports import Call, Ended, Known

Script = Callable[[Call], Ended]


@dataclass
class FakeService:
    """What is on the disk and in the process table."""

    state: str = "absent"
    version: str = ""
    config: str = ""
    pid: int = 0
    data: bool = False


@dataclass
class FakeHost:
    """Answers as scripts do. `faults` replaces the answer of one verb of one service."""

    services: dict[str, FakeService] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    looks: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    glances: int = 0
    running: int = 0
    most_running: int = 0
    meet: int = 1
    """The first calls wait for one another until so many run at once."""
    met: asyncio.Event = field(default_factory=asyncio.Event)
    faults: dict[tuple[str, str], Script] = field(default_factory=dict)
    receipts: dict[tuple[str, str], Ended] = field(default_factory=dict)
    """What keepers of an earlier puller left, said by a test."""
    kept: dict[str, Ended] = field(default_factory=dict)
    """What keepers of this host left, by scratch folder."""
    next_pid: int = 100

    def service(self, name: str) -> FakeService:
        """That service; absent when nothing was ever done to it."""
        return self.services.setdefault(name, FakeService())

    def kill(self, name: str) -> None:
        """Its process dies."""
        self.service(name).state, self.service(name).pid = "stopped", 0

    def edit(self, name: str) -> None:
        """Somebody edits its configuration by hand."""
        self.service(name).config = digest_of(b"edited by hand")

    async def run(self, call: Call) -> Ended:
        self.calls.append((call.service, call.verb))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        if self.running >= self.meet:
            self.met.set()
        await self.met.wait()
        self.running -= 1
        fault = self.faults.get((call.service, call.verb))
        ended = fault(call) if fault is not None else Ended(exit_code=0, stdout=self._do(call).encode())
        self.kept[str(call.folder)] = ended
        return ended

    async def reattach(self, call: Call) -> Ended | None:
        return self.kept.get(str(call.folder)) or self.receipts.get((call.service, call.verb))

    async def ask(self, call: Call) -> Ended:
        self.looks.append(call.service)
        self.told.append(call.environment.get("TOWLINE_CONFIG", ""))
        fault = self.faults.get((call.service, call.verb))
        if fault is not None:
            return fault(call)
        return self._status(call.service)

    async def different(self, observations: Collection[Observation]) -> frozenset[str]:
        self.glances += 1
        return frozenset(seen.service for seen in observations if not self._looks_like(seen))

    def known(self, seen: Observation) -> Known:
        return Known(config=self.service(seen.service).config)

    def _looks_like(self, seen: Observation) -> bool:
        now = self.service(seen.service)
        pid = seen.identity.pid if seen.identity else 0
        return (pid, seen.config) == (now.pid, now.config)

    def _do(self, call: Call) -> str:
        it, environment = self.service(call.service), call.environment
        match call.verb:
            case Verb.INSTALL:
                is_there, it.version = it.version == environment["TOWLINE_VERSION"], environment["TOWLINE_VERSION"]
                it.data = True
                if it.state == "running" and is_there:
                    return "changed=0\n"
                it.state = "stopped"
            case Verb.CONFIGURE:
                text = sorted(f"{k}={v}" for k, v in environment.items() if k.startswith("TOWLINE_PARAM_"))
                before, it.config = it.config, digest_of("\n".join(text).encode())
                return f"changed={int(it.config != before)}\nconfig={it.config}\n"
            case Verb.START | Verb.RESTART:
                self.next_pid += 1
                it.state, it.pid = "running", self.next_pid
            case Verb.STOP:
                it.state, it.pid = "stopped", 0
            case Verb.UNINSTALL:
                it.state, it.config, it.version = "absent", "", ""
            case Verb.PURGE:
                it.data = False
            case _:
                pass
        return "changed=1\n"

    def _status(self, name: str) -> Ended:
        it = self.service(name)
        code = {"running": 0, "absent": 5, "stopped": 7, "degraded": 190}[it.state]
        facts = {"state": it.state, "version": it.version, "config": it.config}
        if it.pid:
            facts |= {"pid": str(it.pid), "start_time": str(it.pid), "boot_id": "boot"}
        return Ended(exit_code=code, stdout="".join(f"{k}={v}\n" for k, v in facts.items() if v).encode())


def failing(exit_code: int, reason: str = "it is broken") -> Script:
    """A script that fails."""
    return lambda _: Ended(exit_code=exit_code, stderr=f"reason: {reason}\n".encode())
