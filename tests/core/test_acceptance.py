"""Acceptance: what a host believes, and one test per attack."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desired_state import acceptance, document
from desired_state.acceptance import MAX_NOTE_BYTES, Accepted, Ratchet, RefusalReason, Refused, accept, expired, reopen
from desired_state.names import digest_of
from desired_state.note import sign
from desired_state.trust import Trust
from tests.core.publisher import HOST, NOW, PUBLISHER, SECOND, STRANGER, document_of, note_of, trust_of

NOTE = note_of()
HELD = Ratchet(epoch=1, revision=7, digest=digest_of(NOTE))


def judged(data: bytes | None, *, trust: Trust | None = None, ratchet: Ratchet | None = HELD, **changes: Any) -> str:
    """The reason of a refusal, or `accepted`."""
    fields: dict[str, Any] = {"trust": trust or trust_of(), "host": HOST, "ratchet": ratchet, "now": NOW}
    outcome = accept(data, **fields | changes)
    return outcome.reason if isinstance(outcome, Refused) else "accepted"


def test_the_first_document_is_accepted() -> None:
    """A host without a ratchet accepts a document that is signed, its own, and fresh."""
    assert "accepted" == judged(NOTE, ratchet=None)


def test_the_same_document_is_accepted_again() -> None:
    """The document at the ratchet is accepted when its bytes are the same."""
    assert "accepted" == judged(NOTE)


def test_a_newer_document_is_accepted() -> None:
    """A higher revision is accepted."""
    assert "accepted" == judged(note_of(revision=8))


def test_accepted_tells_document_and_ratchet() -> None:
    """What is accepted is the document that was signed, and the digest is of the whole note."""
    outcome = accept(NOTE, trust=trust_of(), host=HOST, ratchet=None, now=NOW)
    assert isinstance(outcome, Accepted)
    assert (document_of(), digest_of(NOTE), HELD) == (outcome.document, outcome.digest, outcome.ratchet)


def test_nobody_else_makes_an_accepted() -> None:
    """An Accepted cannot be made outside the acceptance."""
    with pytest.raises(TypeError, match="only acceptance"):
        Accepted(document_of(), digest_of(NOTE), seal=object())


def test_an_accepted_cannot_be_changed() -> None:
    """Nor can it be made to say something else."""
    outcome = accept(NOTE, trust=trust_of(), host=HOST, ratchet=None, now=NOW)
    with pytest.raises(AttributeError):
        outcome.document = document_of(host="other")  # type: ignore[misc, union-attr]


def test_missing_is_refused() -> None:
    """A source without a document changes nothing."""
    assert RefusalReason.MISSING == judged(None)


def test_empty_is_refused() -> None:
    """An empty document changes nothing."""
    assert RefusalReason.EMPTY == judged(b"")


def test_too_large_is_refused() -> None:
    """A validly signed document padded beyond the bound by a stranger's signature is refused."""
    assert RefusalReason.TOO_LARGE == judged(NOTE + b"\xe2\x80\x94 pad " + b"AAAA" * (MAX_NOTE_BYTES // 4) + b"\n")


def test_truncated_is_refused() -> None:
    """A document cut off in the middle is refused."""
    assert RefusalReason.MALFORMED == judged(NOTE[: len(NOTE) // 2])


def test_truncation_at_every_byte_is_refused() -> None:
    """A document cut at any byte is refused."""
    assert [] == [n for n in range(len(NOTE)) if judged(NOTE[:n]) == "accepted"]


def test_unsigned_is_refused() -> None:
    """A document without a signature is refused."""
    assert RefusalReason.MALFORMED == judged(document.encode(document_of()))


def test_strangers_signature_is_refused() -> None:
    """A document signed by a key that is not trusted is refused."""
    assert RefusalReason.UNTRUSTED == judged(note_of(STRANGER, revision=8))


def test_withdrawn_key_is_refused() -> None:
    """A document signed by a key that was trusted once is refused, at any revision and epoch."""
    trust = trust_of(version=2, epoch=2, keys=(str(SECOND.verifier),))
    assert RefusalReason.UNTRUSTED == judged(note_of(PUBLISHER, epoch=2, revision=2**53 - 1), trust=trust)


def test_below_threshold_is_refused() -> None:
    """Where two publishers must sign, one does not suffice."""
    trust = trust_of(keys=(str(PUBLISHER.verifier), str(SECOND.verifier)), threshold=2)
    assert RefusalReason.UNTRUSTED == judged(note_of(PUBLISHER, revision=8), trust=trust)


def test_altered_text_is_refused() -> None:
    """A changed parameter under the old signature is refused."""
    assert RefusalReason.UNTRUSTED == judged(NOTE.replace(b"256mb", b"512mb"), ratchet=None)


def test_unknown_field_is_refused() -> None:
    """A signed document with a word that this version does not know is refused: it may carry an order."""
    text = document.encode(document_of()).replace(b'"host"', b'"extra": 1,\n  "host"', 1)
    assert RefusalReason.INVALID == judged(sign(text, [PUBLISHER]), ratchet=None)


def test_another_form_is_refused() -> None:
    """A signed document in another text form is refused."""
    text = document.encode(document_of()).replace(b'"revision": 7', b'"revision": 7,\n  "revision": 7')
    assert RefusalReason.INVALID == judged(sign(text, [PUBLISHER]), ratchet=None)


def test_another_hosts_document_is_refused() -> None:
    """A validly signed document of another host is refused."""
    assert RefusalReason.WRONG_HOST == judged(note_of(host="app-2.example", revision=8))


def test_old_epoch_is_refused() -> None:
    """After a rotation a document of the old epoch is refused, also when a key of then is still trusted."""
    assert RefusalReason.EPOCH_OLD == judged(note_of(revision=2**53 - 1), trust=trust_of(version=2, epoch=2))


def test_epoch_below_ratchet_is_refused() -> None:
    """A host that lost its newer trust file still knows by its ratchet that the epoch is old."""
    ratchet = Ratchet(epoch=2, revision=1, digest=HELD.digest)
    assert RefusalReason.EPOCH_OLD == judged(note_of(revision=8), ratchet=ratchet)


def test_unknown_epoch_is_refused() -> None:
    """A document of an epoch that the trust file does not know is refused until the next trust file is here."""
    assert RefusalReason.EPOCH_UNKNOWN == judged(note_of(epoch=2, revision=8))


def test_new_epoch_starts_over() -> None:
    """In a new epoch a low revision is accepted, so that a stolen key's huge revision is undone."""
    ratchet = Ratchet(epoch=1, revision=2**53 - 1, digest=HELD.digest)
    assert "accepted" == judged(note_of(epoch=2, revision=1), trust=trust_of(version=2, epoch=2), ratchet=ratchet)


def test_replay_is_refused() -> None:
    """An older document, validly signed in its time, is refused."""
    assert RefusalReason.REVISION_OLD == judged(note_of(revision=6))


def test_fork_is_refused() -> None:
    """Another document under the same revision is refused."""
    assert RefusalReason.REVISION_FORKED == judged(note_of(poll_interval_s=61))


def test_other_signatures_are_another_document() -> None:
    """The same text with another set of signatures is another document: bytes are the truth."""
    assert RefusalReason.REVISION_FORKED == judged(note_of(PUBLISHER, SECOND))


def test_expired_is_refused() -> None:
    """A document past its time is refused."""
    assert RefusalReason.EXPIRED == judged(NOTE, now=NOW + timedelta(days=90))


def test_the_last_second_counts() -> None:
    """A document holds until the moment it names."""
    assert "accepted" == judged(NOTE, now=NOW + timedelta(days=90) - timedelta(microseconds=1))


def test_clock_of_1970_is_no_reason() -> None:
    """A host that boots in 1970 accepts its document: the ratchet gives the order, not the clock."""
    assert "accepted" == judged(NOTE, now=datetime(1970, 1, 1, tzinfo=UTC))


def test_held_document_is_reopened_after_its_time() -> None:
    """After a restart the stored document is known again although it has expired, and expiry is told apart."""
    outcome = reopen(NOTE, trust=trust_of(), host=HOST, ratchet=HELD)
    assert isinstance(outcome, Accepted)
    late = expired(outcome.document, NOW + timedelta(days=91))
    assert (RefusalReason.EXPIRED, None) == (late.reason if late else None, expired(outcome.document, NOW))


def test_altered_store_is_not_reopened() -> None:
    """Bytes that changed in the store are refused as any others."""
    outcome = reopen(NOTE.replace(b"256mb", b"512mb"), trust=trust_of(), host=HOST, ratchet=HELD)
    assert isinstance(outcome, Refused)
    assert RefusalReason.UNTRUSTED == outcome.reason


def test_severity_follows_the_reason() -> None:
    """What the next fetch may mend is tried again; what needs a person stalls."""
    retried = {reason for reason in RefusalReason if Refused(reason=reason, message="").severity == "retry"}
    wanted = {"DocumentMissing", "DocumentEmpty", "DocumentMalformed", "EpochOld", "EpochUnknown"}
    assert wanted == retried


def test_nothing_is_believed_before_the_signature() -> None:
    """A stranger's document that is wrong in every way is refused for its signature."""
    data = sign(b'{"host": "somebody-else", "revision": 0}\n', [STRANGER])
    assert RefusalReason.UNTRUSTED == judged(data, now=NOW + timedelta(days=900))


@contextmanager
def without(name: str) -> Iterator[None]:
    """The acceptance with one check taken out."""
    whole = acceptance.CHECKS
    acceptance.CHECKS = tuple(check for check in whole if check.__name__ != name)
    assert len(acceptance.CHECKS) == len(whole) - 1
    try:
        yield
    finally:
        acceptance.CHECKS = whole


PASSES_WITHOUT: dict[str, tuple[bytes, dict[str, Any]]] = {
    "is_not_too_large": (NOTE + b"\xe2\x80\x94 pad " + b"AAAA" * (MAX_NOTE_BYTES // 4) + b"\n", {"ratchet": None}),
    "is_signed": (note_of(STRANGER, revision=8), {}),
    "is_for_this_host": (note_of(host="app-2.example", revision=8), {}),
    "epoch_is_not_old": (note_of(revision=8), {"trust": trust_of(version=2, epoch=2)}),
    "epoch_is_known": (note_of(epoch=2, revision=8), {}),
    "revision_is_not_old": (note_of(revision=6), {}),
    "revision_is_not_forked": (note_of(poll_interval_s=61), {}),
    "is_not_expired": (NOTE, {"now": NOW + timedelta(days=90)}),
}


@pytest.mark.parametrize("name", PASSES_WITHOUT)
def test_each_check_alone_stops_its_attack(name: str) -> None:
    """Without this one check its attack is accepted: no other check stands in for it."""
    data, changes = PASSES_WITHOUT[name]
    with_it = judged(data, **changes)
    with without(name):
        without_it = judged(data, **changes)
    assert (True, "accepted") == (with_it != "accepted", without_it)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_a_reason(data: bytes) -> None:
    """Any bytes get a reason and a message; none raises."""
    outcome = accept(data, trust=trust_of(), host=HOST, ratchet=HELD, now=NOW)
    assert isinstance(outcome, Refused)
    assert "" != outcome.message


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_signed_text_is_refused_with_a_reason(text: bytes) -> None:
    """Also text that our own publisher signed by mistake gets a reason; none raises."""
    try:
        data = sign(text + b"\n", [PUBLISHER])
    except ValueError:
        return
    assert RefusalReason.INVALID == judged(data)


@settings(max_examples=150, deadline=None)
@given(st.integers(min_value=0), st.integers(min_value=0, max_value=7))
def test_a_flipped_bit_is_refused(place: int, bit: int) -> None:
    """A document with one bit flipped is refused."""
    changed = bytearray(NOTE)
    changed[place % len(NOTE)] ^= 1 << bit
    assert "accepted" != judged(bytes(changed), ratchet=None)
