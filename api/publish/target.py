"""Where published documents are put, besides the table that the backend serves itself.

A target is told what shall stand in it; it is the database that knows. Two publishers may be at work for a moment (one
lost its lease and does not know yet), so putting has two parts: `open` fixes the state that the target is in (a lock,
or the head of a branch), only then is the database asked what is missing, and `put` succeeds only on that very state.
So older documents never land on top of newer ones.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from desired_state.names import HostName


class TargetMoved(Exception):
    """Somebody else changed the target since it was opened: open it again and ask the database anew."""


class TargetUnavailable(Exception):
    """The target could not be reached or written; trying again later may help."""


class Door(Protocol):
    """A target held open in one state."""

    @property
    def state(self) -> str:
        """What names that state (a commit id); empty where the target keeps none."""

    def put(self, files: Mapping[str, bytes], message: str) -> str:
        """Makes the files stand at their paths and returns the new state. Raises TargetMoved or TargetUnavailable."""

    def close(self) -> None:
        """Give back what it holds."""


class Target(Protocol):
    """A place for documents. Blocking; used from one thread."""

    @property
    def name(self) -> str:
        """What `delivered` calls it: stays the same while it is the same place."""

    def open(self) -> Door:
        """Fixes the state that the target is in. Raises TargetUnavailable."""


def document_path(host: HostName) -> str:
    """Where a host's document lies in a target: 256 folders, so that no folder grows with the fleet."""
    return f"hosts/{sha256(host.encode()).hexdigest()[:2]}/{host}"


def trust_path(version: int) -> str:
    """Where a version of the trust file lies."""
    return f"trust/{version}.note"


def target_name(kind: str, place: str | Path) -> str:
    """A short, stable name of a place: its kind and the beginning of the digest of where it is."""
    return f"{kind}-{sha256(str(place).encode()).hexdigest()[:16]}"
