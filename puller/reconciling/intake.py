"""Fetch and accept: from the source's bytes to the document in force. Every rule of trust is in `acceptance`; here is
only what follows from its verdict, and the ratchet is on disk before anything else happens."""

from dataclasses import dataclass
from datetime import datetime

import structlog

from desired_state.acceptance import Accepted, Ratchet, RefusalReason, Refused, accept, reopen
from desired_state.names import HostName
from puller.crash_points import reached
from puller.ports import Clock, Fetched, Source, Stalled, Unavailable, Unchanged
from puller.store import Store, documents
from puller.store.documents import Held
from puller.trust_file import TrustFile

_log = structlog.get_logger("towline.intake")
_MAYBE_NEW_KEYS = frozenset({RefusalReason.UNTRUSTED, RefusalReason.EPOCH_UNKNOWN})


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What came of asking the source."""

    is_new: bool = False
    refused: Refused | None = None
    unavailable: str = ""


class Intake:
    """The documents of this host: the newest accepted one and the last good one."""

    def __init__(self, *, host: HostName, source: Source, trust: TrustFile, store: Store, clock: Clock) -> None:
        self._host, self._source, self._trust, self._store, self._clock = host, source, trust, store, clock
        self._held: Held | None = None
        self.accepted: Accepted | None = None
        self.good: Accepted | None = None
        self._opened_with = 0
        self._not_before = 0.0
        self._last = Taken()

    async def load(self) -> None:
        """Opens what the store holds, by the trust file of now."""
        ratchet = await self._store.read(documents.ratchet)
        self._held = await self._store.read(documents.held, "accepted")
        good = await self._store.read(documents.held, "good")
        self.accepted = self._reopen(self._held, ratchet)
        self.good = self._reopen(good, None)  # the ratchet stands above it, and shall
        self._opened_with = self._trust.trust.version

    async def fetch(self) -> Taken:
        """Asks the source, judges what it gives, and keeps it when it is accepted. Obeys a Retry-After."""
        if self._clock.monotonic() >= self._not_before:
            self._last = await self._ask()
        if self._trust.trust.version != self._opened_with:
            await self.load()  # a withdrawn key withdraws what it signed
        return self._last

    async def _ask(self) -> Taken:
        try:
            fetched = await self._source.fetch(self._held.tag if self._held and self.accepted else "")
            return Taken() if isinstance(fetched, Unchanged) else await self._judge(fetched)
        except Unavailable as error:
            self._not_before = self._clock.monotonic() + (error.retry_after_s or 0.0)
            return Taken(unavailable=str(error))
        except Stalled as error:
            await self._try_newer_trust()  # the backend may have changed the key that requests are signed under
            return Taken(unavailable=str(error))

    async def peek(self) -> tuple[Taken, Accepted | None]:
        """What `fetch` would come to, and the document it would leave. Nothing is kept, not even a newer trust file."""
        try:
            fetched = await self._source.fetch("")
        except (Unavailable, Stalled) as error:
            return Taken(unavailable=str(error)), self.accepted
        verdict = await self._accept(fetched.data if isinstance(fetched, Fetched) else None)
        if isinstance(verdict, Refused):
            return Taken(refused=verdict), self.accepted
        return Taken(is_new=self.accepted is None or self.accepted.digest != verdict.digest), verdict

    def note_good(self) -> bool:
        """The accepted document is the last good one from now on; whether it was not before."""
        before, self.good = self.good, self.accepted
        return before is None or self.good is None or before.digest != self.good.digest

    async def _try_newer_trust(self) -> None:
        try:
            await self._trust.advance(self._source)
        except (Unavailable, Stalled) as error:
            _log.info("no newer trust file", reason=str(error))

    async def _judge(self, fetched: Fetched) -> Taken:
        verdict = await self._accept(fetched.data)
        if (
            isinstance(verdict, Refused)
            and verdict.reason in _MAYBE_NEW_KEYS
            and await self._trust.advance(self._source)
        ):
            verdict = await self._accept(fetched.data)
        if isinstance(verdict, Refused):
            _log.warning("document refused", reason=verdict.reason, message=verdict.message, origin=fetched.origin)
            return Taken(refused=verdict)
        return await self._keep(verdict, fetched, self._clock.now())

    async def _accept(self, data: bytes | None) -> Accepted | Refused:
        ratchet = await self._store.read(documents.ratchet)
        now = self._clock.now()
        return accept(data, trust=self._trust.trust, host=self._host, ratchet=ratchet, now=now)

    async def _keep(self, accepted: Accepted, fetched: Fetched, now: datetime) -> Taken:
        known = self.accepted is not None and self.accepted.digest == accepted.digest
        if known and self._held is not None and self._held.tag == fetched.tag:
            return Taken()
        held = Held(
            epoch=accepted.document.epoch,
            revision=accepted.document.revision,
            digest=accepted.digest,
            note=fetched.data or b"",
            tag=fetched.tag,
            origin=fetched.origin,
            at=now,
        )
        reached("before_accept")
        await self._store.transact(documents.accept, held)
        reached("after_accept")
        self._held, self.accepted = held, accepted
        if not known:
            _log.info("document accepted", revision=held.revision, digest=held.digest, origin=held.origin)
        return Taken(is_new=not known)

    def _reopen(self, held: Held | None, ratchet: Ratchet | None) -> Accepted | None:
        if held is None:
            return None
        verdict = reopen(held.note, trust=self._trust.trust, host=self._host, ratchet=ratchet)
        if isinstance(verdict, Refused):
            _log.warning("held document no longer holds", reason=verdict.reason, message=verdict.message)
            return None
        return verdict
