"""What the pass needs of the world, and nothing more. Each is implemented once for real and once as a fake in tests."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from desired_state.document import Artifact
from desired_state.report import Delivery, Receipt


class Unavailable(Exception):
    """The world did not answer; trying again later may help. The text says what was asked of whom."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Stalled(Exception):
    """Trying again will not help before a person acts. The text says what to do."""


class Fetched(Struct, frozen=True, kw_only=True):
    """Bytes as the source gave them, untrusted; None where the source has no document for this host."""

    data: bytes | None
    tag: str = ""
    """What to show the source next time so that it may answer 'unchanged': an ETag or a commit id."""
    origin: str = ""
    """Where from, for people: a URL without credentials or query, and a commit."""


class Unchanged(Struct, frozen=True, kw_only=True):
    """The source still has what it gave under the tag shown to it."""


class Source(Protocol):
    """Where documents come from."""

    async def fetch(self, tag: str) -> Fetched | Unchanged:
        """This host's document. `tag` as of the last Fetched, or empty. Raises Unavailable or Stalled."""

    async def fetch_trust(self, version: int) -> bytes | None:
        """The signed trust file of that version, or None where the source has none. Raises Unavailable."""

    async def close(self) -> None:
        """Give back what it holds."""


class Sink(Protocol):
    """Where reports go."""

    async def deliver(self, delivery: Delivery) -> Receipt:
        """Sends; what the receipt names is durable at the backend. Raises Unavailable or Stalled."""

    async def close(self) -> None:
        """Give back what it holds."""


class Artifacts(Protocol):
    """Packages and bundles, kept by content."""

    async def ensure(self, artifact: Artifact, bases: Sequence[str]) -> Path:
        """Path of the complete, verified file. Fetched with resume if it is not here. Raises Unavailable or Stalled."""


class Clock(Protocol):
    """Time."""

    def now(self) -> datetime:
        """The wall clock, UTC: for display and expiry only."""

    def monotonic(self) -> float:
        """Seconds that only grow: for durations."""
