"""Secrets sealed to one host: opened there, as what they are, and nowhere else."""

from base64 import b64decode, b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from msgspec.structs import replace

from desired_state.document import MAX_SEALED
from desired_state.sealing import MAX_SECRET_BYTES, NotSealed, open_sealed, seal

KEY = X25519PrivateKey.from_private_bytes(b"k" * 32)
OTHER_KEY = X25519PrivateKey.from_private_bytes(b"o" * 32)
VALUE = b"correct horse battery staple"
SEALED = seal(VALUE, host="app-1", name="redis-main", version=2, key=KEY.public_key())


@pytest.mark.parametrize("value", [b"", b"x", VALUE, bytes(62), bytes(63), bytes(range(256)) * 64])
def test_what_was_sealed_is_opened(value: bytes) -> None:
    """Every value comes back byte for byte, on the host with the key."""
    sealed = seal(value, host="app-1", name="redis-main", version=2, key=KEY.public_key())
    assert value == open_sealed(sealed, host="app-1", key=KEY)


@pytest.mark.parametrize(
    ("host", "key", "changes"),
    [
        ("app-2", KEY, {}),
        ("app-1", OTHER_KEY, {}),
        ("app-1", KEY, {"name": "redis-other"}),
        ("app-1", KEY, {"version": 1}),
        ("app-1", KEY, {"sealed": ""}),
        ("app-1", KEY, {"sealed": b64encode(bytes(48)).decode()}),
        ("app-1", KEY, {"sealed": SEALED.sealed[:-8]}),
        ("app-1", KEY, {"sealed": "A=A="}),
    ],
)
def test_it_opens_for_nobody_and_nothing_else(host: str, key: X25519PrivateKey, changes: dict[str, object]) -> None:
    """Not on another host, not by another key, not as another secret or version, not when it was cut."""
    secret = replace(SEALED, **changes)
    with pytest.raises(NotSealed, match=f"secret {secret} is not sealed to this key of {host}") as caught:
        open_sealed(secret, host=host, key=key)
    assert VALUE.decode() not in str(caught.value)


def test_every_altered_byte_is_noticed() -> None:
    """Whichever byte is another one, it does not open."""
    data = b64decode(SEALED.sealed)
    for place in range(len(data)):
        altered = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises(NotSealed):
            open_sealed(replace(SEALED, sealed=b64encode(altered).decode()), host="app-1", key=KEY)


def test_it_is_never_the_same_twice() -> None:
    """Who reads two documents does not learn that two secrets are equal."""
    assert SEALED.sealed != seal(VALUE, host="app-1", name="redis-main", version=2, key=KEY.public_key()).sealed


def test_its_length_does_not_tell_the_values() -> None:
    """Documents are public: a password of four characters looks as long as one of forty."""
    lengths = {
        len(seal(value, host="a", name="b", version=1, key=KEY.public_key()).sealed)
        for value in (b"1234", b"x" * 40, b"x" * 62)
    }
    assert 1 == len(lengths)


def test_the_longest_fits_a_document() -> None:
    """The bound of the document's field is that of the largest secret."""
    longest = seal(bytes(MAX_SECRET_BYTES), host="a", name="b", version=1, key=KEY.public_key())
    assert MAX_SEALED - 50 < len(longest.sealed) <= MAX_SEALED


def test_too_long_is_not_sealed() -> None:
    """One byte more is refused."""
    with pytest.raises(NotSealed, match="secret b v1 is 16385 bytes long; at most 16384 are sealed"):
        seal(bytes(MAX_SECRET_BYTES + 1), host="a", name="b", version=1, key=KEY.public_key())
