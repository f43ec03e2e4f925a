"""Signed notes: the format of the specification, and every way in which a note is refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desired_state.note import (
    MAX_SIGNATURES,
    Note,
    NoteRefused,
    Signature,
    SigningKey,
    VerifierKey,
    open_note,
    parse_note,
    require_signatures,
    sign,
)

# The example of golang.org/x/mod/sumdb/note, the reference implementation.
NEUMANN_PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
NEUMANN_PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN_TEXT = b"""\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.
"""
NEUMANN_NOTE = """\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
""".encode()

TEXT = '{\n  "name": "Großmann, 张"\n}\n'.encode()
ANNA = SigningKey.generate("anna.example", bytes([1]) * 32)
BERT = SigningKey.generate("bert.example", bytes([2]) * 32)
EVE = SigningKey.generate("eve.example", bytes([3]) * 32)


def refusal(data: bytes, keys: list[SigningKey], threshold: int) -> str:
    """Why a note is refused."""
    with pytest.raises(NoteRefused) as caught:
        open_note(data, [key.verifier for key in keys], threshold)
    return caught.value.reason


def test_reference_note_opens() -> None:
    """A note made by the reference implementation opens with the key in its published text form."""
    assert NEUMANN_TEXT == open_note(NEUMANN_NOTE, [VerifierKey.parse(NEUMANN_PUBLIC)], 1)


def test_our_note_is_the_reference_note() -> None:
    """Signing the reference text with the reference key gives the reference bytes."""
    assert NEUMANN_NOTE == sign(NEUMANN_TEXT, [SigningKey.parse(NEUMANN_PRIVATE)])


def test_keys_have_one_text_form() -> None:
    """Keys read from text write themselves as that text."""
    key = SigningKey.parse(NEUMANN_PRIVATE)
    assert (NEUMANN_PRIVATE, NEUMANN_PUBLIC) == (key.private_text(), str(key.verifier))


def test_two_of_two_open() -> None:
    """A note signed by both keys of a threshold of two opens."""
    assert TEXT == open_note(sign(TEXT, [ANNA, BERT]), [ANNA.verifier, BERT.verifier], 2)


def test_unknown_signature_is_ignored() -> None:
    """A further signature by a key nobody knows does no harm: that is how a key is added."""
    assert TEXT == open_note(sign(TEXT, [EVE, ANNA]), [ANNA.verifier], 1)


def test_stranger_is_refused() -> None:
    """A note signed by a key that is not trusted is refused."""
    assert "untrusted" == refusal(sign(TEXT, [EVE]), [ANNA], 1)


def test_one_of_two_is_refused() -> None:
    """A note with fewer signatures than the threshold is refused."""
    assert "untrusted" == refusal(sign(TEXT, [ANNA, EVE]), [ANNA, BERT], 2)


def test_one_key_twice_is_one() -> None:
    """Two signatures by one key do not make a threshold of two."""
    assert "untrusted" == refusal(sign(TEXT, [ANNA, ANNA]), [ANNA, BERT], 2)


def test_one_key_under_two_names_is_one() -> None:
    """One key under two names does not make a threshold of two."""
    alias = SigningKey.generate("alias.example", bytes([1]) * 32)
    assert "untrusted" == refusal(sign(TEXT, [ANNA, alias]), [ANNA, alias], 2)


def test_name_and_id_of_a_trusted_key_do_not_help() -> None:
    """A signature that carries a trusted key's name and id but was made by another key is refused."""
    forged = Note(TEXT, (Signature(ANNA.name, ANNA.verifier.key_id, EVE.sign(TEXT).value),))
    assert "untrusted" == refusal(forged.encode(), [ANNA], 1)


def test_threshold_of_nothing_is_an_error() -> None:
    """Nobody can ask for a note that no key need have signed."""
    with pytest.raises(ValueError, match="trusts everybody"):
        require_signatures(Note(TEXT, ()), [ANNA.verifier], 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"\n\n",
        TEXT,
        TEXT + b"\n",
        TEXT + "\n— anna.example\n".encode(),
        TEXT + "\n— anna.example AAAA\n".encode(),
        TEXT + b"\nanna.example AAAAAAAAAAAA\n",
        TEXT + "\n— anna.example !!!!!!!!\n".encode(),
        TEXT + b"\n- anna.example AAAAAAAAAAAA\n",
        TEXT + "\n—  AAAAAAAAAAAA\n".encode(),
        TEXT + "\n— an+na AAAAAAAAAAAA\n".encode(),
        TEXT + "\n— an\u3000na AAAAAAAAAAAA\n".encode(),
        TEXT + "\n— anna.example AAAAAAAAAAAA".encode(),
        b"tab\t\n" + "\n— anna.example AAAAAAAAAAAA\n".encode(),
        b"\xff\xfe\n" + "\n— anna.example AAAAAAAAAAAA\n".encode(),
        b"cr\r\n" + "\n— anna.example AAAAAAAAAAAA\r\n".encode(),
    ],
)
def test_what_is_no_note_is_malformed(data: bytes) -> None:
    """Bytes that are not a note are refused as malformed."""
    assert "malformed" == refusal(data, [ANNA], 1)


def test_too_many_signatures_are_malformed() -> None:
    """More signatures than the bound are refused before one is checked."""
    line = "— eve.example AAAAAAAAAAAA\n".encode()
    assert "malformed" == refusal(TEXT + b"\n" + line * (MAX_SIGNATURES + 1), [ANNA], 1)


def test_loose_base64_is_malformed() -> None:
    """Base64 with loose trailing bits, which many readers let pass, is refused: a note has one form."""
    line = sign(TEXT, [ANNA])
    assert line.endswith(b"=\n")
    loose = line[:-3] + bytes([line[-3] + 1]) + line[-2:]
    assert "malformed" == refusal(loose, [ANNA], 1)


def test_bytes_after_the_last_line_are_malformed() -> None:
    """Nothing stands after the last whole line of a note."""
    assert "malformed" == refusal(sign(TEXT, [ANNA]) + "— eve".encode(), [ANNA], 1)


def test_truncation_at_every_byte_is_refused() -> None:
    """A note cut at any byte is refused."""
    whole = sign(TEXT, [ANNA, BERT])
    accepted = [n for n in range(len(whole)) if not _is_refused(whole[:n])]
    assert [] == accepted


def test_every_flipped_bit_is_refused() -> None:
    """A note with any one bit flipped, in text, names or signatures, is refused."""
    whole = sign(TEXT, [ANNA, BERT])
    accepted = [n for n in range(len(whole) * 8) if not _is_refused(_flip(whole, n))]
    assert [] == accepted


def _is_refused(data: bytes) -> bool:
    try:
        open_note(data, [ANNA.verifier, BERT.verifier], 2)
    except NoteRefused:
        return True
    return False


def _flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet="— \nab+AQ=/", max_size=80).map(str.encode))
def test_any_bytes_are_refused_or_write_themselves(data: bytes) -> None:
    """Any bytes are malformed, or the note read from them writes the same bytes."""
    try:
        outcome: bytes | str = parse_note(data).encode()
    except NoteRefused as refused:
        outcome = refused.reason
    assert outcome in (data, "malformed")


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], min_codepoint=32) | st.just("\n"), max_size=80))
def test_any_text_that_is_signed_opens(text: str) -> None:
    """Whatever text can be signed comes out of its note unchanged, also when it ends with blank lines."""
    body = (text + "\n").encode()
    assert body == open_note(sign(body, [ANNA]), [ANNA.verifier], 1)


@pytest.mark.parametrize("text", [b"", b"no newline", b"nul\x00\n", b"\xff\n"])
def test_what_no_note_can_hold_is_not_signed(text: bytes) -> None:
    """Text that no reader would accept is not signed."""
    with pytest.raises(ValueError, match="cannot be signed as a note"):
        sign(text, [ANNA])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+AhpcBQcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10T",
        str(VerifierKey("Peter Neumann", bytes(range(32)))),
        str(VerifierKey("", bytes(range(32)))),
        str(VerifierKey("tab\t", bytes(range(32)))),
        str(VerifierKey("short", bytes(range(31)))),
        str(VerifierKey("long", bytes(range(33)))),
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW ",
    ],
)
def test_bad_verifier_key_is_refused(text: str) -> None:
    """A verifier key that is cut off, renamed, of another type or with a foreign id is an error."""
    with pytest.raises(ValueError, match="key"):
        VerifierKey.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "PRIVATE-KEY+" + NEUMANN_PRIVATE[12:],
        NEUMANN_PUBLIC,
        NEUMANN_PRIVATE[:-1],
        NEUMANN_PRIVATE.replace("c74f20a3", "c74f20a4"),
        "PRIVATE+KEY+",
    ],
)
def test_bad_signing_key_is_refused(text: str) -> None:
    """A signing key that is cut off or has a foreign id is an error, and the error does not show it."""
    with pytest.raises(ValueError, match="key") as caught:
        SigningKey.parse(text)
    assert "AYEKFALVFGyNhPJEMzD1QIDr" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\x01b", "a\u3000b"])
def test_bad_key_name_is_refused(name: str) -> None:
    """A key whose name would break the line of its signature is not made."""
    with pytest.raises(ValueError, match="cannot name a key"):
        SigningKey.generate(name, bytes(32))


def test_a_signing_key_does_not_show_itself() -> None:
    """Printing a signing key shows its public half only."""
    key = SigningKey.parse(NEUMANN_PRIVATE)
    assert f"SigningKey({NEUMANN_PUBLIC})" == repr(key)
