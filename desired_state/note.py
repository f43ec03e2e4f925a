"""Signed text: the C2SP signed note (https://c2sp.org/signed-note), Ed25519 only.

A note is text that ends in a newline, a blank line, and one line per signature: `— <key name> <base64>`. The base64
holds four bytes of key id and the signature over the text. Signatures by keys nobody asked about are ignored, as the
specification says, so that a key can be added before everybody knows it; a wrong signature under a trusted key's name
and id refuses the whole note.
"""

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

MAX_SIGNATURES = 100
"""As in the reference implementation: checking signatures costs, and an attacker writes as many as are read."""
_ED25519 = b"\x01"
_DASH = "— "
_CONTROL = bytes(byte for byte in range(0x20) if byte != 0x0A)
_SMALL_ORDER = frozenset(
    bytes.fromhex(y)
    for y in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)
"""y coordinates of the eight points of small order and their second encodings, sign bit cleared (RFC 8032's curve)."""


class NoteRefused(ValueError):
    """These bytes are not a note, or not signed by enough of the keys asked for. The text says what is wrong."""

    def __init__(self, message: str, *, reason: Literal["malformed", "untrusted"]) -> None:
        super().__init__(message)
        self.reason = reason


class Signature(Struct, frozen=True):
    """One signature line, unchecked."""

    name: str
    key_id: bytes
    value: bytes


class Note(Struct, frozen=True):
    """A note taken apart. Nothing in it has been checked: `open_note` does that."""

    text: bytes
    signatures: tuple[Signature, ...]

    def encode(self) -> bytes:
        """The bytes that `parse_note` reads as this note."""
        lines = (f"{_DASH}{s.name} {_base64(s.key_id + s.value)}\n" for s in self.signatures)
        return self.text + b"\n" + "".join(lines).encode()


class VerifierKey(Struct, frozen=True):
    """A public key with its name. Its text form is `<name>+<8 hex digits of key id>+<base64>`."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """First four bytes of a hash over name and key: a hint which key signed, never a proof."""
        return sha256(f"{self.name}\n".encode() + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{_base64(_ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """The key in its text form. Raises ValueError, also for a key id that does not belong, and for a weak key."""
        name, key_id, body = _key_parts(text, "verifier key")
        key = cls(name, body)
        if is_weak(body):
            raise ValueError(f"verifier key {name!r} is a point of small order: anybody can sign for it")
        if key.key_id.hex() != key_id:
            raise ValueError(f"verifier key {name!r}: its id is {key.key_id.hex()}, but it says {key_id}")
        return key

    def signed(self, text: bytes, signature: bytes) -> bool:
        """Whether the signature over the text was made with this key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """A private key with its name. Its text form starts with `PRIVATE+KEY+`; its repr shows the public half only."""

    __slots__ = ("_private", "_seed", "name")

    def __init__(self, name: str, seed: bytes) -> None:
        if not _is_key_name(name):
            raise ValueError(f"{name!r} cannot name a key: no spaces, no plus sign, no control characters")
        self.name = name
        self._seed = seed
        self._private = Ed25519PrivateKey.from_private_bytes(seed)

    @classmethod
    def generate(cls, name: str, seed: bytes) -> "SigningKey":
        """The key that these 32 random bytes make. Raises ValueError for a bad name or another length."""
        return cls(name, seed)

    @classmethod
    def parse(cls, text: str) -> "SigningKey":
        """The key in its text form. Raises ValueError; the text of the error never shows the key."""
        prefix, key = text[:12], text[12:]
        if prefix != "PRIVATE+KEY+":
            raise ValueError("a signing key starts with PRIVATE+KEY+")
        name, key_id, seed = _key_parts(key, "signing key")
        signer = cls(name, seed)
        if signer.verifier.key_id.hex() != key_id:
            raise ValueError(f"signing key {name!r}: its id is {signer.verifier.key_id.hex()}, but it says {key_id}")
        return signer

    def private_text(self) -> str:
        """The secret text form: for a file of mode 0600, nothing else."""
        return f"PRIVATE+KEY+{self.name}+{self.verifier.key_id.hex()}+{_base64(_ED25519 + self._seed)}"

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        return VerifierKey(self.name, self._private.public_key().public_bytes_raw())

    def sign(self, text: bytes) -> Signature:
        """A signature line over the text."""
        return Signature(self.name, self.verifier.key_id, self._private.sign(text))

    def __repr__(self) -> str:
        return f"SigningKey({self.verifier})"


def is_weak(public: bytes) -> bool:
    """Whether an Ed25519 public key is a point of small order, under which anybody makes signatures that pass."""
    return public[:-1] + bytes([public[-1] & 0x7F]) in _SMALL_ORDER


def sign(text: bytes, keys: Sequence[SigningKey]) -> bytes:
    """The note with that text and one signature by each key. Raises ValueError for text that no note can hold."""
    problem = _text_problem(text)
    if problem:
        raise ValueError(f"cannot be signed as a note: {problem}")
    return Note(text, tuple(key.sign(text) for key in keys)).encode()


def parse_note(data: bytes) -> Note:
    """Takes a note apart without checking any signature. Raises NoteRefused(malformed)."""
    blank = data.rfind(b"\n\n")
    if blank < 0:
        raise NoteRefused("no blank line parts text from signatures; it may be cut off", reason="malformed")
    text, block = data[: blank + 1], data[blank + 2 :]
    problem = _text_problem(data)
    if problem:
        raise NoteRefused(problem, reason="malformed")
    lines = block.decode().split("\n")[:-1]
    if not lines:
        raise NoteRefused("has no signature; it may be cut off", reason="malformed")
    if len(lines) > MAX_SIGNATURES:
        raise NoteRefused(f"has {len(lines)} signatures; at most {MAX_SIGNATURES} are read", reason="malformed")
    return Note(text, tuple(_signature(line) for line in lines))


def open_note(data: bytes, verifiers: Collection[VerifierKey], threshold: int) -> bytes:
    """The text of a note that at least `threshold` distinct keys of `verifiers` signed. Raises NoteRefused."""
    note = parse_note(data)
    require_signatures(note, verifiers, threshold)
    return note.text


def require_signatures(note: Note, verifiers: Collection[VerifierKey], threshold: int) -> None:
    """Passes when that many distinct keys signed the note's text. Raises NoteRefused(untrusted), ValueError.

    Keys are counted by their public bytes: one key under two names, or signing twice, is one.
    """
    if threshold < 1:
        raise ValueError("a threshold below 1 trusts everybody")
    trusted = {(key.name, key.key_id): key for key in verifiers}
    signed: set[bytes] = set()
    for signature in note.signatures:
        key = trusted.get((signature.name, signature.key_id))
        if key is None:
            continue
        if not key.signed(note.text, signature.value):
            raise NoteRefused(f"the signature by {key.name} does not fit the text", reason="untrusted")
        signed.add(key.public)
    if len(signed) < threshold:
        by = ", ".join(s.name for s in note.signatures[:5])
        raise NoteRefused(
            f"{len(signed)} of the trusted keys signed it, {threshold} must; it is signed by {by}", reason="untrusted"
        )


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not _is_key_name(name):
        raise NoteRefused(f"is not a signature line: {line[:80]!r}", reason="malformed")
    try:
        body = _unbase64(encoded)
    except ValueError as error:
        raise NoteRefused(f"the signature by {name[:80]} is not base64", reason="malformed") from error
    if len(body) < 5:
        raise NoteRefused(f"the signature by {name[:80]} is too short", reason="malformed")
    return Signature(name, body[:4], body[4:])


def _text_problem(text: bytes) -> str:
    if not text.endswith(b"\n"):
        return "does not end with a newline; it may be cut off"
    if len(text.translate(None, _CONTROL)) != len(text):
        return "holds a control character"
    try:
        text.decode()
    except UnicodeDecodeError:
        return "is not UTF-8"
    return ""


def _key_parts(text: str, what: str) -> tuple[str, str, bytes]:
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    if not _is_key_name(name):
        raise ValueError(f"this {what} has no name")
    try:
        body = _unbase64(encoded)
    except ValueError:
        raise ValueError(f"{what} {name!r} is not base64") from None
    if body[:1] != _ED25519 or len(body) != 33:
        raise ValueError(f"{what} {name!r} is not an Ed25519 key")
    return name, key_id, body[1:]


def _is_key_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(c.isspace() or ord(c) < 0x20 for c in name)


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()


def _unbase64(text: str) -> bytes:
    """Strictly: one byte string has one text, or a changed byte of a note could go unseen (loose trailing bits)."""
    try:
        data = a2b_base64(text.encode("ascii"), strict_mode=True)
    except (Base64Error, UnicodeEncodeError) as error:
        raise ValueError("not base64") from error
    if _base64(data) != text:
        raise ValueError("not base64 in its one form")
    return data
