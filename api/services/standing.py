"""Where one host stands, in one word: the only place that may say "converged".

Pure: what is known of a host and the time go in, one Standing comes out. Freshness is derived here each time somebody
asks; it is never stored, because a host that fell silent writes nothing.
"""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from desired_state.document import Mode
from desired_state.report import HealthWord, Sync, Truth

STALE_AFTER_POLLS = 3


class Word(StrEnum):
    """All words for where a host stands, worst first: a list sorted by them shows first what needs a person."""

    FAILED = "failed"
    DRIFTED = "drifted"
    STALE = "stale"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"
    CONVERGING = "converging"
    NEVER_REPORTED = "never reported"
    SUSPENDED = "suspended"
    CONVERGED = "converged"


class Published(Struct, frozen=True, kw_only=True):
    """The newest document of a host."""

    epoch: int
    revision: int
    digest: str


class Suspension(Struct, frozen=True, kw_only=True):
    """Somebody told towline to keep its hands off a host. `until` None: until somebody resumes it."""

    reason: str
    actor: str = ""
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it is in force at that moment."""
        return self.until is None or now < self.until


class Said(Struct, frozen=True, kw_only=True):
    """What a host said of itself last, as far as its standing needs it."""

    seen_at: datetime
    """When the backend last heard from it, by the backend's clock."""
    sync: Sync
    health: HealthWord
    mode: Mode
    ready: Truth
    ready_reason: str = ""
    stalled: bool = False
    differences: int = 0
    """Changes still outstanding after its last pass."""
    epoch: int | None = None
    accepted_revision: int | None = None
    applied_revision: int | None = None
    """The revision that was reached last, and verified by looking."""
    digest: str = ""
    """Of the document it holds."""
    agent_version: str = ""
    """Of the agent that said all this."""
    message: str = ""
    """Of the condition that speaks loudest; for the sentence only."""


class Facts(Struct, frozen=True, kw_only=True):
    """All that is known of a host."""

    host: str
    poll_interval_s: int = 60
    stale_after_polls: int = STALE_AFTER_POLLS
    enrolled: bool = False
    published: Published | None = None
    said: Said | None = None
    suspension: Suspension | None = None
    held: str = ""
    """What of its document goes on as published though something else is declared, and what that waits for."""


class Standing(Struct, frozen=True, kw_only=True):
    """One word for a host, and one sentence that says why."""

    word: Word
    sentence: str

    @property
    def green(self) -> bool:
        """Whether everything about this host is as it shall be, and known to be so."""
        return self.word is Word.CONVERGED

    @property
    def shape(self) -> str:
        """Which icon goes with the word: states are never told by colour alone."""
        return self.word.value.replace(" ", "-")


def silence_limit_s(poll_interval_s: int, polls: int = STALE_AFTER_POLLS) -> int:
    """Seconds that a host may be silent before what it said is stale: so many polls, and at least three minutes."""
    return max(polls * poll_interval_s, 180)


def is_fresh(facts: Facts, now: datetime) -> bool:
    """Whether the evidence is young enough. Evidence from the far future is no evidence: a clock is wrong."""
    if facts.said is None:
        return False
    limit_s = silence_limit_s(facts.poll_interval_s, facts.stale_after_polls)
    return abs((now - facts.said.seen_at).total_seconds()) <= limit_s


def on_newest(facts: Facts) -> bool:
    """Whether the host holds exactly the newest document and has reached it. It may have drifted from it since."""
    said, published = facts.said, facts.published
    if said is None or published is None:
        return False
    return (
        said.digest == published.digest
        and said.applied_revision == published.revision
        and said.epoch == published.epoch
    )


def has_drifted(said: Said) -> bool:
    """Whether what differs is drift (it was as it should be once), and not a newer document on its way."""
    reached = said.applied_revision is not None and said.applied_revision == said.accepted_revision
    return said.differences > 0 and (reached or said.ready_reason == "Drifted")


def standing(facts: Facts, now: datetime) -> Standing:
    """Where a host stands. The order is the order of what a person must know first; only the last line is green."""
    said, suspension = facts.said, facts.suspension
    if suspension is not None and suspension.holds(now):
        return _suspended(suspension.reason, suspension.until)
    if said is None:
        return _never(facts)
    if said.mode == "suspended":
        return _suspended(said.message, None)
    if not is_fresh(facts, now):
        return Standing(word=Word.STALE, sentence=_silence(facts, said, now))
    return _by_evidence(facts, said)


def _by_evidence(facts: Facts, said: Said) -> Standing:
    if said.stalled or said.sync == "refused":
        return Standing(word=Word.FAILED, sentence=said.message or spaced(said.ready_reason) or "Needs a person.")
    if said.ready_reason == "Withdrawn":
        return _suspended(said.message, None)  # by an operator of the host: nobody looks after it, and that is meant
    if has_drifted(said):
        return Standing(word=Word.DRIFTED, sentence=said.message or _differs(said.differences))
    if not on_newest(facts) or said.differences:
        return Standing(word=Word.CONVERGING, sentence=_behind(facts, said))
    if said.health != "healthy":
        return Standing(word=Word.UNHEALTHY, sentence=said.message or f"Its health is {said.health}.")
    if said.ready != "True" or said.sync != "synced":
        return Standing(word=Word.UNKNOWN, sentence=said.message or spaced(said.ready_reason) or "It does not say.")
    if facts.held:
        return Standing(word=Word.CONVERGING, sentence=facts.held)
    return Standing(word=Word.CONVERGED, sentence=f"Revision {said.applied_revision} applied and verified.")


def _never(facts: Facts) -> Standing:
    if facts.enrolled:
        return Standing(word=Word.NEVER_REPORTED, sentence="Enrolled; its first report has not come yet.")
    return Standing(word=Word.NEVER_REPORTED, sentence="Not enrolled yet: invite it, and run the command on the host.")


def _suspended(reason: str, until: datetime | None) -> Standing:
    end = f", until {until:%Y-%m-%d %H:%M} UTC" if until else ""
    return Standing(word=Word.SUSPENDED, sentence=f"{reason or 'No reason was given'}{end}")


def _silence(facts: Facts, said: Said, now: datetime) -> str:
    silent = int((now - said.seen_at).total_seconds())
    if silent < 0:
        return "Its last word carries a time in the future: look at the clock of the backend."
    return f"Silent for {length(silent)}; it asks every {length(facts.poll_interval_s)}."


def _behind(facts: Facts, said: Said) -> str:
    if facts.published is None:
        return "No document has been published for it yet."
    applied = f"revision {said.applied_revision}" if said.applied_revision else "no revision"
    if said.applied_revision == facts.published.revision:
        return f"Does not say that it is in revision {facts.published.revision} and no other."
    if said.digest == facts.published.digest and said.message:  # it has it, and tells how far it came
        return f"Has {applied} applied; of revision {facts.published.revision} it says: {said.message}"
    return f"Has {applied} applied; revision {facts.published.revision} is published."


def _differs(count: int) -> str:
    return f"{count} difference{'s' if count != 1 else ''} from its document."


def spaced(reason: str) -> str:
    """A CamelCase reason as words: `StepFailed` is "Step failed"."""
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in reason).strip()
    return words[:1].upper() + words[1:]


def length(seconds: int) -> str:
    """A length of time in words, in the one unit that fits it: 45 s, 3 min, 2 h, 5 d."""
    seconds = abs(seconds)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or (seconds >= size and seconds % size == 0):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
