"""What the pass needs of the world, and nothing more. Each is implemented once for real and once as a fake in tests."""

from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from msgspec import Struct

from desired_state.contract import Verb
from desired_state.document import Artifact
from desired_state.names import Digest, ServiceName
from desired_state.observed import Observation
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

    def sweep(self, used: Collection[Digest], *, keep_bytes: int) -> int:
        """Forgets files that are not used, oldest first, until the rest is at most so large; bytes freed."""


class Clock(Protocol):
    """Time."""

    def now(self) -> datetime:
        """The wall clock, UTC: for display and expiry only."""

    def monotonic(self) -> float:
        """Seconds that only grow: for durations."""


class Call(Struct, frozen=True, kw_only=True):
    """One script call as the contract has it."""

    step: str
    """Its `TOWLINE_STEP`: what leftovers are known by."""
    service: ServiceName
    verb: Verb
    script: Path
    folder: Path
    """Scratch folder: working directory, HOME, and where the keeper leaves what it leaves."""
    timeout_s: int
    environment: dict[str, str]


class Ended(Struct, frozen=True, kw_only=True):
    """How a call ended."""

    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""
    duration_s: float = 0.0
    timed_out: bool = False
    leftovers: int = 0
    """Processes that it left behind and that were ended."""


class Runner(Protocol):
    """Runs service scripts."""

    async def run(self, call: Call) -> Ended:
        """A verb that changes the host. It goes on when this process dies. Raises Unavailable."""

    async def reattach(self, call: Call) -> Ended | None:
        """How a call ended that an earlier process began with `run`; waits for it. None: nobody knows."""

    async def ask(self, call: Call) -> Ended:
        """A verb that only looks."""


class Known(Struct, frozen=True, kw_only=True):
    """What was just read in process, so that a look by a script need not read it again. Empty: not known."""

    config: Digest | Literal[""] = ""
    """The digest over the files that the last look named."""
    command: str = ""
    """`PID:START_TIME:` and the sha256 of that process's command line."""


NOTHING_KNOWN = Known()


class Glance(Protocol):
    """What can be seen without asking a script."""

    async def different(self, observations: Collection[Observation]) -> frozenset[ServiceName]:
        """Those services that do not look like their last observation any more."""

    def known(self, seen: Observation) -> Known:
        """The files and the process of an observation, read now."""
