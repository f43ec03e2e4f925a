"""Trust files: the first is pinned, each later one is handed over, and every other one is refused."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desired_state.names import digest_of
from desired_state.note import VerifierKey, parse_note, sign
from desired_state.trust import (
    MAX_BYTES,
    Trust,
    TrustReason,
    TrustRefused,
    accept_trust,
    decode,
    encode,
    sign_trust,
)
from tests.core.publisher import (
    NEXT_ROOT,
    OTHER_ROOT,
    PUBLISHER,
    ROOT,
    SECOND,
    STRANGER,
    key,
    trust_note,
    trust_of,
)

FIRST = trust_note()
PIN = digest_of(parse_note(FIRST).text)


def refusal(current: Trust | None, pinned: str | None, data: bytes) -> str:
    """Why a trust file is refused."""
    with pytest.raises(TrustRefused) as caught:
        accept_trust(current, pinned, data)
    return caught.value.reason


def test_the_pinned_trust_is_accepted() -> None:
    """The first trust file is believed when its text has the digest of the join token."""
    assert trust_of() == accept_trust(None, PIN, FIRST)


def test_another_first_trust_is_refused() -> None:
    """A first trust file of another text is refused, however well it is signed."""
    assert TrustReason.NOT_PINNED == refusal(None, PIN, trust_note(STRANGER, root_keys=(str(STRANGER.verifier),)))


def test_first_trust_without_a_pin_is_refused() -> None:
    """Without a digest to compare with, no trust file is believed."""
    assert TrustReason.NOT_PINNED == refusal(None, None, FIRST)


def test_first_trust_is_signed_by_its_roots() -> None:
    """Also the pinned one carries its own roots' signature."""
    assert TrustReason.UNSIGNED == refusal(None, PIN, sign(encode(trust_of()), [STRANGER]))


def test_roots_hand_over() -> None:
    """The next version is believed when old and new roots signed it."""
    following = trust_of(version=2, epoch=2, keys=(str(SECOND.verifier),), root_keys=(str(NEXT_ROOT.verifier),))
    assert following == accept_trust(trust_of(), None, sign_trust(following, [ROOT, NEXT_ROOT]))


def test_old_roots_must_sign() -> None:
    """A next version signed by its own new roots only is refused: that is a take-over."""
    data = trust_note(NEXT_ROOT, version=2, root_keys=(str(NEXT_ROOT.verifier),))
    assert TrustReason.UNSIGNED == refusal(trust_of(), None, data)


def test_new_roots_must_sign() -> None:
    """A next version signed by the old roots only is refused: nobody could sign the one after."""
    data = trust_note(ROOT, version=2, root_keys=(str(NEXT_ROOT.verifier),))
    assert TrustReason.UNSIGNED == refusal(trust_of(), None, data)


def test_threshold_of_old_roots_counts() -> None:
    """Where two old roots must sign, one does not suffice."""
    current = trust_of(root_keys=(str(ROOT.verifier), str(OTHER_ROOT.verifier)), root_threshold=2)
    assert TrustReason.UNSIGNED == refusal(current, None, trust_note(ROOT, version=2))


def test_threshold_of_new_roots_counts() -> None:
    """Where two new roots must sign, one does not suffice."""
    data = trust_note(ROOT, version=2, root_keys=(str(ROOT.verifier), str(OTHER_ROOT.verifier)), root_threshold=2)
    assert TrustReason.UNSIGNED == refusal(trust_of(), None, data)


def test_publisher_keys_sign_no_trust() -> None:
    """A publisher key, which lies on the backend, cannot change whom hosts believe."""
    data = trust_note(PUBLISHER, version=2, root_keys=(str(PUBLISHER.verifier),))
    assert TrustReason.UNSIGNED == refusal(trust_of(), None, data)


@pytest.mark.parametrize("version", [1, 3, 2**31 - 1])
def test_version_follows_exactly(version: int) -> None:
    """The same version again, or one that skips some, is refused."""
    assert TrustReason.VERSION_WRONG == refusal(trust_of(), None, trust_note(version=version))


def test_older_version_is_refused() -> None:
    """A trust file that was replaced does not come back."""
    assert TrustReason.VERSION_WRONG == refusal(trust_of(version=5), None, trust_note(version=4))


def test_epoch_never_falls() -> None:
    """A next version with a lower epoch is refused: it would give withdrawn keys their documents back."""
    assert TrustReason.EPOCH_OLD == refusal(trust_of(epoch=3), None, trust_note(version=2, epoch=2))


def test_epoch_may_stay() -> None:
    """A next version may keep its epoch."""
    assert trust_of(version=2) == accept_trust(trust_of(), None, trust_note(version=2))


def test_pin_is_not_asked_twice() -> None:
    """Where a trust file is held, the pin of enrolment does not bring another one in."""
    other = trust_note(STRANGER, root_keys=(str(STRANGER.verifier),))
    assert TrustReason.VERSION_WRONG == refusal(trust_of(), digest_of(parse_note(other).text), other)


def test_truncation_at_every_byte_is_refused() -> None:
    """The pinned trust file, cut at any byte, is refused."""
    whole = FIRST
    reasons = {refusal(None, PIN, whole[:n]) for n in range(len(whole))}
    assert reasons <= {"TrustMalformed", "TrustInvalid", "TrustNotPinned"}


def test_too_large_is_refused() -> None:
    """A trust file beyond its bound is refused unread, also when it is signed."""
    line = "— stranger " + "A" * 4 * (MAX_BYTES // 4) + "\n"
    assert TrustReason.MALFORMED == refusal(None, PIN, FIRST + line.encode())


ILL_FORMED = {
    "threshold above keys": {"threshold": 2},
    "root threshold above keys": {"root_threshold": 2},
    "one key twice": {"keys": (str(PUBLISHER.verifier),) * 2, "threshold": 2},
    "one key under two names": {
        "keys": (str(PUBLISHER.verifier), str(key("alias", 1).verifier)),
        "threshold": 2,
    },
    "two keys with one name and id, of which one would hide the other": {
        "keys": tuple(str(VerifierKey("publisher", number.to_bytes(32, "big"))) for number in (2572, 25906)),
    },
    "no key": {"keys": ()},
    "no threshold": {"threshold": 0},
    "no root threshold": {"root_threshold": 0},
    "a private key": {"keys": (PUBLISHER.private_text(),)},
    "a weak key": {"keys": (str(VerifierKey("weak", b"\x01" + bytes(31))),)},
    "exchange key too short": {"exchange_key": "AAAA" * 11},
    "exchange key not base64": {"exchange_key": "!" * 43 + "="},
    "exchange key with loose bits": {"exchange_key": "A" * 42 + "B="},
    "version 0": {"version": 0},
    "epoch 0": {"epoch": 0},
    "another schema": {"schema": "towline.trust/2"},
}


@pytest.mark.parametrize("changes", ILL_FORMED.values(), ids=ILL_FORMED.keys())
def test_ill_formed_trust_is_refused(changes: dict[str, object]) -> None:
    """A trust file that could not be kept, or would count a key twice, is refused although it is signed."""
    data = sign(encode(trust_of(**changes)), [ROOT])
    assert TrustReason.INVALID == refusal(None, digest_of(parse_note(data).text), data)


def test_ill_formed_trust_is_not_signed() -> None:
    """Nobody signs a trust file that no host would believe."""
    with pytest.raises(ValueError, match="asks for 2 signatures"):
        sign_trust(trust_of(threshold=2), [ROOT])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b'"epoch": 1', b'"epoch": 9, "epoch": 1'),
        lambda text: text.replace(b'"epoch": 1', b'"epoch":  1'),
        lambda text: text.replace(b'"epoch": 1', b'"epoch": 1.0'),
        lambda text: text.replace(b'"epoch": 1', b'"epoch": 1, "extra": 1'),
        lambda text: text + b"\n",
        lambda _: b"[" * 60_000 + b"\n",
        lambda _: b"{}\n",
        lambda _: b"null\n",
    ],
)
def test_only_one_text_form(change: object) -> None:
    """A trust file in any other form than the one that is signed is refused."""
    assert callable(change)
    with pytest.raises(TrustRefused) as caught:
        decode(change(encode(trust_of())))
    assert TrustReason.INVALID == caught.value.reason


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=100) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(msgspec.json.encode))
def test_any_bytes_are_refused_or_write_themselves(text: bytes) -> None:
    """Any bytes are refused, or the trust file read from them writes the same bytes."""
    try:
        outcome: bytes | str = encode(decode(text))
    except TrustRefused as refused:
        outcome = refused.reason
    assert outcome in (text, "TrustInvalid")


@settings(max_examples=100, deadline=None)
@given(st.integers(min_value=0), st.integers(min_value=0, max_value=255))
def test_a_changed_byte_is_refused(place: int, byte: int) -> None:
    """The pinned trust file with one byte changed is refused."""
    changed = bytearray(FIRST)
    changed[place % len(FIRST)] = byte
    outcome = _reason(bytes(changed))
    assert (outcome == "") == (bytes(changed) == FIRST)


def _reason(data: bytes) -> str:
    try:
        accept_trust(None, PIN, data)
    except TrustRefused as refused:
        return refused.reason
    return ""
