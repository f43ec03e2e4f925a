"""Whom a host believes: publisher keys, root keys, thresholds, epoch. A small TUF root, as a signed note.

The rules, each a function in CHECKS: the first trust file is the one whose text has the digest that came with the join
token; every later one is exactly the next version, signed by the root thresholds of both the one before and itself
(python-tuf's rule for roots), and its epoch is never lower.

Not here: expiry (a trust file does not expire: hosts must outlive a backend that is away), and fetching the versions
in between (the caller asks for version + 1 until there is none).
"""

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Collection, Sequence
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from desired_state.names import Epoch, Timestamp, digest_of
from desired_state.note import Note, NoteRefused, SigningKey, VerifierKey, parse_note, require_signatures, sign

MAX_BYTES = 1 << 16
"""No trust file, with its signatures, is larger."""
KeyText = Annotated[str, Meta(min_length=1, max_length=300)]
"""A verifier key in its text form."""
Keys = Annotated[tuple[KeyText, ...], Meta(min_length=1, max_length=50)]
Threshold = Annotated[int, Meta(ge=1, le=50)]


class Trust(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to believe."""

    schema: Literal["towline.trust/1"]
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    epoch: Epoch
    """A document of another epoch is not accepted; raised when a publisher key is withdrawn."""
    keys: Keys
    """Publisher keys: they sign documents."""
    threshold: Threshold
    """So many distinct publisher keys must sign a document."""
    root_keys: Keys
    """They sign trust files, and nothing else."""
    root_threshold: Threshold
    exchange_key: Annotated[str, Meta(min_length=44, max_length=44)]
    """The backend's X25519 public key, base64: hosts derive the key of their requests from it."""
    issued_at: Timestamp

    @property
    def publishers(self) -> tuple[VerifierKey, ...]:
        """The publisher keys, read."""
        return tuple(VerifierKey.parse(key) for key in self.keys)

    @property
    def roots(self) -> tuple[VerifierKey, ...]:
        """The root keys, read."""
        return tuple(VerifierKey.parse(key) for key in self.root_keys)


class TrustReason(StrEnum):
    """Why a trust file is refused."""

    MALFORMED = "TrustMalformed"
    INVALID = "TrustInvalid"
    NOT_PINNED = "TrustNotPinned"
    UNSIGNED = "TrustUnsigned"
    VERSION_WRONG = "TrustVersionWrong"
    EPOCH_OLD = "TrustEpochOld"


class TrustRefused(ValueError):
    """A trust file that changes nothing: the one before goes on holding. The text says what is wrong with it."""

    def __init__(self, message: str, *, reason: TrustReason) -> None:
        super().__init__(message)
        self.reason = reason


class Candidate(Struct, frozen=True, kw_only=True):
    """A trust file that nobody believes yet, and what it is judged by."""

    note: Note
    trust: Trust
    current: Trust | None
    pinned_digest: str | None


def encode(trust: Trust) -> bytes:
    """The one text form of a trust file: what is signed."""
    return msgspec.json.format(msgspec.json.encode(trust, order="deterministic"), indent=2) + b"\n"


def decode(text: bytes) -> Trust:
    """The trust file with this text. Raises TrustRefused for whatever `encode` would not have written."""
    try:
        trust = _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise TrustRefused(str(error), reason=TrustReason.INVALID) from error
    except RecursionError as error:  # a hostile file must not take the pass down
        raise TrustRefused("is nested too deeply", reason=TrustReason.INVALID) from error
    problem = _ill_formed(trust)
    if not problem and encode(trust) != text:
        problem = "is not in its one text form (duplicate keys, spacing, order)"
    if problem:
        raise TrustRefused(problem, reason=TrustReason.INVALID)
    return trust


def sign_trust(trust: Trust, keys: Sequence[SigningKey]) -> bytes:
    """The trust file as a note: signed by its own root keys and, after the first, by those of the one before."""
    problem = _ill_formed(trust)
    if problem:
        raise ValueError(problem)
    return sign(encode(trust), keys)


def accept_trust(current: Trust | None, pinned_digest: str | None, data: bytes) -> Trust:
    """The trust file in this note, believed. Raises TrustRefused; then `current` goes on holding.

    `pinned_digest` is of the text of the first trust file, from the join token; it is not looked at when there is a
    current one.
    """
    if len(data) > MAX_BYTES:
        text = f"is {len(data)} bytes long; a trust file has at most {MAX_BYTES}"
        raise TrustRefused(text, reason=TrustReason.MALFORMED)
    try:
        note = parse_note(data)
    except NoteRefused as error:
        raise TrustRefused(str(error), reason=TrustReason.MALFORMED) from error
    candidate = Candidate(note=note, trust=decode(note.text), current=current, pinned_digest=pinned_digest)
    for check in CHECKS:
        check(candidate)
    return candidate.trust


def is_pinned(candidate: Candidate) -> None:
    """The first one is the one that the join token named: enrolment is not trust on first use."""
    if candidate.current is not None:
        return
    found = digest_of(candidate.note.text)
    if found != candidate.pinned_digest:
        raise TrustRefused(
            f"the first trust file has digest {found}, but the join token names {candidate.pinned_digest}",
            reason=TrustReason.NOT_PINNED,
        )


def is_next_version(candidate: Candidate) -> None:
    """Versions follow one another: none is skipped, none comes back."""
    if candidate.current is None:
        return
    wanted = candidate.current.version + 1
    if candidate.trust.version != wanted:
        raise TrustRefused(
            f"is version {candidate.trust.version}; after version {candidate.current.version} comes {wanted}",
            reason=TrustReason.VERSION_WRONG,
        )


def epoch_never_falls(candidate: Candidate) -> None:
    """A lower epoch would give withdrawn keys their documents back."""
    if candidate.current is not None and candidate.trust.epoch < candidate.current.epoch:
        raise TrustRefused(
            f"has epoch {candidate.trust.epoch}, lower than {candidate.current.epoch}", reason=TrustReason.EPOCH_OLD
        )


def current_roots_signed(candidate: Candidate) -> None:
    """Those believed so far hand over."""
    if candidate.current is not None:
        _require(candidate.note, candidate.current.roots, candidate.current.root_threshold, "of the version before")


def own_roots_signed(candidate: Candidate) -> None:
    """Those to be believed from now on hold their keys: nobody hands over to a key that is lost."""
    _require(candidate.note, candidate.trust.roots, candidate.trust.root_threshold, "that it names itself")


Check = Callable[[Candidate], None]
CHECKS: tuple[Check, ...] = (is_pinned, is_next_version, epoch_never_falls, current_roots_signed, own_roots_signed)
"""Every rule, in order. Tests take each one out and see its attack pass."""


def _require(note: Note, keys: Collection[VerifierKey], threshold: int, whose: str) -> None:
    try:
        require_signatures(note, keys, threshold)
    except NoteRefused as error:
        raise TrustRefused(f"root keys {whose}: {error}", reason=TrustReason.UNSIGNED) from error


def _ill_formed(trust: Trust) -> str:
    return (
        _keys_problem("keys", trust.keys, trust.threshold)
        or _keys_problem("root_keys", trust.root_keys, trust.root_threshold)
        or _exchange_key_problem(trust.exchange_key)
    )


def _keys_problem(field: str, texts: Sequence[str], threshold: int) -> str:
    try:
        keys = [VerifierKey.parse(text) for text in texts]
    except ValueError as error:
        return f"{error} - at `$.{field}`"
    if len({key.public for key in keys}) != len(keys) or len({(key.name, key.key_id) for key in keys}) != len(keys):
        return f"one key is there twice - at `$.{field}`"
    if threshold > len(keys):
        return f"asks for {threshold} signatures, but there are {len(keys)} keys - at `$.{field}`"
    return ""


def _exchange_key_problem(text: str) -> str:
    try:
        key = a2b_base64(text.encode(), strict_mode=True)
    except Base64Error:
        key = b""
    if len(key) != 32 or b2a_base64(key, newline=False).decode() != text:
        return "is not the base64 of 32 bytes - at `$.exchange_key`"
    return ""


_DECODER = msgspec.json.Decoder(Trust, strict=True)
