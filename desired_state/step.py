"""The plan's words: an ordered list of script calls, and what is held back."""

from msgspec import Struct

from desired_state.change import Change, Intent
from desired_state.contract import Effect, Verb
from desired_state.names import Digest, Kind, Revision, ServiceName, Text


class Step(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One script call. Its id is the digest of its intent: the same after any restart of the puller."""

    id: Digest
    service: ServiceName
    kind: Kind
    verb: Verb
    intent: Intent
    reasons: tuple[Text, ...]
    after: tuple[Digest, ...] = ()
    """Steps that must have succeeded first."""
    interrupts: bool = False
    """A running service stops answering for a moment, or for good."""
    leaves: Effect = Effect.NONE
    """What a running process still waits for once this step is done (`configure` never restarts)."""
    keeps_running: bool = False
    """Is done under a process that runs as declared; that waits for a restart only if this step changed something."""
    removes: bool = False
    destroys: bool = False
    """Deletes data."""


class Held(Struct, frozen=True, kw_only=True):
    """A step that is not taken, and what must happen first."""

    service: ServiceName
    verb: Verb
    reason: Text


class Plan(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a pass will do, in an order that respects every `after`."""

    revision: Revision
    changes: tuple[Change, ...] = ()
    steps: tuple[Step, ...] = ()
    held: tuple[Held, ...] = ()
