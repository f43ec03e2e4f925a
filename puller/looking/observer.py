"""Observe: look at every service, change nothing. In process where that is enough, by its script where it is not."""

import asyncio
from collections.abc import Collection, Mapping

from msgspec import Struct
from msgspec.structs import replace

from desired_state.document import Document, Health, Service
from desired_state.names import ServiceName
from desired_state.observed import Observation, Observed
from desired_state.record import Record
from puller.calls.scripts import Scripts, as_applied
from puller.ports import NOTHING_KNOWN, Clock, Glance, Known

LOOKS_AT_ONCE = 4
_CHEAP = frozenset({"running", "stopped", "absent"})
"""States that stand until something looks different. `degraded` and `unknown` are asked about again each time."""


class _Look(Struct, frozen=True):
    seen: Observation
    bundle: str
    at: float
    """On the monotonic clock."""


class Observer:
    """Remembers what each script saw last; nothing of it is believed after a restart of the puller."""

    def __init__(self, glance: Glance, clock: Clock) -> None:
        self._glance = glance
        self._clock = clock
        self._looks: dict[ServiceName, _Look] = {}

    async def observe(
        self, document: Document, record: Record, scripts: Scripts, *, ask: Collection[ServiceName] = ()
    ) -> Observed:
        """Every service that is wanted or was applied, as it is now. Scripts are asked about those in `ask` anyway."""
        services = to_look_at(document, record)
        stale = {name for name in services if name in ask or self._must_ask(name, document, scripts)}
        fresh = [self._looks[name].seen for name in services if name not in stale]
        stale |= await self._glance.different(fresh)
        await self._ask([services[name] for name in sorted(stale)], scripts)
        now = self._clock.now()
        self._looks = {name: self._looks[name] for name in services}
        return {
            name: look.seen if name in stale else replace(look.seen, seen_at=now, by="glance")
            for name, look in self._looks.items()
        }

    def _must_ask(self, name: ServiceName, document: Document, scripts: Scripts) -> bool:
        look = self._looks.get(name)
        if look is None or look.seen.state not in _CHEAP or look.bundle != scripts.bundle.digest:
            return True
        interval_s = next((s.health.interval_s for s in document.services if s.name == name), Health().interval_s)
        # Half a second early rather than one poll late: poll and health intervals are usually the same.
        return self._clock.monotonic() - look.at >= interval_s - 0.5

    def _known(self, name: ServiceName, scripts: Scripts) -> Known:
        """What the script need not read itself. Nothing after a look of another bundle, which may watch other files."""
        look = self._looks.get(name)
        return NOTHING_KNOWN if look is None or look.bundle != scripts.bundle.digest else self._glance.known(look.seen)

    async def _ask(self, services: Collection[Service], scripts: Scripts) -> None:
        """Asks several scripts side by side, a few at once."""
        room = asyncio.Semaphore(LOOKS_AT_ONCE)

        async def ask(service: Service) -> None:
            async with room:
                seen = await scripts.look(service, self._known(service.name, scripts))
                self._looks[service.name] = _Look(seen, scripts.bundle.digest, self._clock.monotonic())

        async with asyncio.TaskGroup() as group:
            for service in services:
                group.create_task(ask(service))


def to_look_at(document: Document, record: Record) -> Mapping[ServiceName, Service]:
    """Services of the document and of the record, as they are here. Not what was removed and is not spoken of."""
    wanted = {service.name: service for service in document.services}
    applied = {name for name, entry in record.items() if entry.state != "absent"}
    return {name: as_applied(wanted.get(name), record.get(name)) for name in sorted(wanted.keys() | applied)}
