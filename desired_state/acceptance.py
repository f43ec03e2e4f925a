"""Bytes to `Accepted`, or a refusal with its reason. Every rule of trust in a document is in this file.

The rules, in this order, each a function in CHECKS:

1. there is a document, it is not empty, and it is within its size bound;
2. it is a whole signed note;
3. a threshold of distinct trusted publisher keys signed it (before anything in it is believed);
4. it is a document in its one text form;
5. it is for this host;
6. its epoch is the one of the trust file: not an older one, not one that is not known yet;
7. it is not older than the newest ever accepted here, in order of (epoch, revision), and at the same revision it is
   the same bytes;
8. it has not expired.

`Accepted` can only be made here, and only after all of them: whoever holds one need not ask.

What is NOT here: where the bytes came from (any transport may carry them); whether the backend knows a newer one (a
freeze is seen from there); a check of `issued_at` against the clock (hosts boot in 1970: the ratchet gives the order,
not the clock); what the document asks for (plan.py bounds removals); storing the ratchet (the store does, before
anything else happens); expiry of a document that is already applied tears nothing down (fail static).
"""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Literal

from msgspec import Struct

from desired_state import document as document_form
from desired_state.document import Document, NotADocument
from desired_state.names import Digest, Epoch, HostName, Revision, digest_of
from desired_state.note import Note, NoteRefused, parse_note, require_signatures
from desired_state.trust import Trust

MAX_NOTE_BYTES = document_form.MAX_BYTES + (1 << 14)
"""A document and its signatures."""


class RefusalReason(StrEnum):
    """Why a document is refused: the words of conditions, metrics and the page."""

    MISSING = "DocumentMissing"
    EMPTY = "DocumentEmpty"
    TOO_LARGE = "DocumentTooLarge"
    MALFORMED = "DocumentMalformed"
    UNTRUSTED = "SignatureUntrusted"
    INVALID = "DocumentInvalid"
    WRONG_HOST = "WrongHost"
    EPOCH_OLD = "EpochOld"
    EPOCH_UNKNOWN = "EpochUnknown"
    REVISION_OLD = "RevisionOld"
    REVISION_FORKED = "RevisionForked"
    EXPIRED = "DocumentExpired"


MAY_PASS = frozenset(
    {
        RefusalReason.MISSING,
        RefusalReason.EMPTY,
        RefusalReason.MALFORMED,
        RefusalReason.EPOCH_OLD,
        RefusalReason.EPOCH_UNKNOWN,
    }
)
"""Half published, half fetched, or between two trust files: the next fetch may bring better. Others need a person."""


class Ratchet(Struct, frozen=True, kw_only=True):
    """The newest document ever accepted on this host. Nothing below it is accepted again."""

    epoch: Epoch
    revision: Revision
    digest: Digest
    """Of the whole note's bytes."""


class Refused(Struct, frozen=True, kw_only=True):
    """These bytes change nothing on this host."""

    reason: RefusalReason
    message: str
    """What is wrong and what to do, for people."""

    @property
    def severity(self) -> Literal["stalled", "retry"]:
        """Whether a person must act, or the next fetch may bring better."""
        return "retry" if self.reason in MAY_PASS else "stalled"


class Accepted:
    """A document that this host may act upon. Only `accept` and `reopen` make one."""

    __slots__ = ("_digest", "_document")

    def __init__(self, document: Document, digest: Digest, *, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only acceptance.accept makes an Accepted")
        self._document = document
        self._digest = digest

    @property
    def document(self) -> Document:
        """What this host shall be."""
        return self._document

    @property
    def digest(self) -> Digest:
        """Of the whole note's bytes."""
        return self._digest

    @property
    def ratchet(self) -> Ratchet:
        """To be stored before anything is done because of the document."""
        return Ratchet(epoch=self._document.epoch, revision=self._document.revision, digest=self._digest)


_SEAL = object()


class Candidate:
    """Bytes that nobody believes yet, and what they are judged by. Taken apart when a check first asks."""

    def __init__(
        self, data: bytes | None, *, trust: Trust, host: HostName, ratchet: Ratchet | None, now: datetime | None
    ) -> None:
        self.data = data or b""
        self.is_there = data is not None
        self.trust = trust
        self.host = host
        self.ratchet = ratchet
        self.now = now

    @cached_property
    def note(self) -> Note:
        """The note in the bytes. Raises NoteRefused."""
        return parse_note(self.data)

    @cached_property
    def document(self) -> Document:
        """The document in the note. Raises NotADocument."""
        return document_form.decode(self.note.text)

    @cached_property
    def digest(self) -> Digest:
        """Of the whole note's bytes."""
        return digest_of(self.data)


Check = Callable[[Candidate], Refused | None]


def accept(
    data: bytes | None, *, trust: Trust, host: HostName, ratchet: Ratchet | None, now: datetime
) -> Accepted | Refused:
    """What a source gave (None: it has nothing for this host), judged. `now` is the wall clock, with its zone."""
    return _judge(Candidate(data, trust=trust, host=host, ratchet=ratchet, now=now))


def reopen(data: bytes | None, *, trust: Trust, host: HostName, ratchet: Ratchet | None) -> Accepted | Refused:
    """The document that the store holds, after a restart: judged by all rules but expiry, which `expired` tells.

    So a host whose document has expired still knows what it holds, and says so; it does nothing new (fail static).
    """
    return _judge(Candidate(data, trust=trust, host=host, ratchet=ratchet, now=None))


def expired(document: Document, now: datetime) -> Refused | None:
    """Whether a document is past its time. Also asked of one that was accepted long ago."""
    if now < document.expires_at:
        return None
    return _refused(
        RefusalReason.EXPIRED,
        f"revision {document.revision} expired at {document.expires_at:%Y-%m-%d %H:%M:%S %Z}: "
        "what runs stays as it is and nothing new is done; publish again, or set this host's clock right",
    )


def is_there(candidate: Candidate) -> Refused | None:
    """A missing document is not an order."""
    if candidate.is_there:
        return None
    return _refused(
        RefusalReason.MISSING,
        f"the source has no document for {candidate.host}; add the host to the catalogue and publish",
    )


def is_not_empty(candidate: Candidate) -> Refused | None:
    """Nor is an empty one."""
    if candidate.data:
        return None
    return _refused(RefusalReason.EMPTY, "the source gave an empty file; publish again")


def is_not_too_large(candidate: Candidate) -> Refused | None:
    """Nobody makes this host parse without end."""
    size = len(candidate.data)
    if size <= MAX_NOTE_BYTES:
        return None
    return _refused(RefusalReason.TOO_LARGE, f"{size} bytes; a document has at most {MAX_NOTE_BYTES} with signatures")


def is_a_note(candidate: Candidate) -> Refused | None:
    """Cut off, or never a signed note."""
    try:
        _ = candidate.note
    except NoteRefused as error:
        return _refused(RefusalReason.MALFORMED, f"not a signed note: {error}")
    return None


def is_signed(candidate: Candidate) -> Refused | None:
    """By a threshold of distinct publisher keys, before anything in it is believed."""
    try:
        require_signatures(candidate.note, candidate.trust.publishers, candidate.trust.threshold)
    except NoteRefused as error:
        return _refused(RefusalReason.UNTRUSTED, f"{error} (trust version {candidate.trust.version})")
    return None


def is_a_document(candidate: Candidate) -> Refused | None:
    """An unknown word may carry an order that this version does not understand: refused, never skipped."""
    try:
        _ = candidate.document
    except NotADocument as error:
        return _refused(RefusalReason.INVALID, f"signed, but not a document that this version knows: {error}")
    return None


def is_for_this_host(candidate: Candidate) -> Refused | None:
    """A document of another host is validly signed, and still not ours."""
    named = candidate.document.host
    if named == candidate.host:
        return None
    return _refused(RefusalReason.WRONG_HOST, f"is for host {named}; this host is {candidate.host}")


def epoch_is_not_old(candidate: Candidate) -> Refused | None:
    """Keys that were withdrawn signed it, maybe with a huge revision."""
    known = max(candidate.trust.epoch, candidate.ratchet.epoch if candidate.ratchet else 0)
    if candidate.document.epoch >= known:
        return None
    return _refused(
        RefusalReason.EPOCH_OLD, f"is of epoch {candidate.document.epoch}; this host is at epoch {known}: publish again"
    )


def epoch_is_known(candidate: Candidate) -> Refused | None:
    """Of an epoch whose keys this host has not seen: the trust file comes first."""
    if candidate.document.epoch <= candidate.trust.epoch:
        return None
    return _refused(
        RefusalReason.EPOCH_UNKNOWN,
        f"is of epoch {candidate.document.epoch}, but the trust file (version {candidate.trust.version}) is of epoch "
        f"{candidate.trust.epoch}: the next trust file must be published first",
    )


def revision_is_not_old(candidate: Candidate) -> Refused | None:
    """A replay: signed once, overtaken since."""
    ratchet, document = candidate.ratchet, candidate.document
    if ratchet is None or (document.epoch, document.revision) >= (ratchet.epoch, ratchet.revision):
        return None
    return _refused(
        RefusalReason.REVISION_OLD,
        f"revision {document.revision} is older than {ratchet.revision}, which this host has accepted: the source is "
        "stale, or somebody replays an old document",
    )


def revision_is_not_forked(candidate: Candidate) -> Refused | None:
    """Two documents under one number: one of two publishers is not ours, or the backend's state was set back."""
    ratchet, document = candidate.ratchet, candidate.document
    if ratchet is None or (document.epoch, document.revision) != (ratchet.epoch, ratchet.revision):
        return None
    if candidate.digest == ratchet.digest:
        return None
    return _refused(
        RefusalReason.REVISION_FORKED,
        f"revision {document.revision} has digest {candidate.digest}, but this host accepted {ratchet.digest} under "
        "that number: was the backend's database set back? Publish a higher revision",
    )


def is_not_expired(candidate: Candidate) -> Refused | None:
    """Past its time, nothing new is done."""
    return None if candidate.now is None else expired(candidate.document, candidate.now)


CHECKS: tuple[Check, ...] = (
    is_there,
    is_not_empty,
    is_not_too_large,
    is_a_note,
    is_signed,
    is_a_document,
    is_for_this_host,
    epoch_is_not_old,
    epoch_is_known,
    revision_is_not_old,
    revision_is_not_forked,
    is_not_expired,
)
"""Every rule, in order. Tests take each one out and see its attack pass."""


def _judge(candidate: Candidate) -> Accepted | Refused:
    for check in CHECKS:
        refused = check(candidate)
        if refused:
            return refused
    return Accepted(candidate.document, candidate.digest, seal=_SEAL)


def _refused(reason: RefusalReason, message: str) -> Refused:
    return Refused(reason=reason, message=message)
