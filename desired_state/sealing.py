"""Secrets sealed to one host: HPKE (RFC 9180, base mode) to the X25519 key that only that host has.

`info` binds host, name and version, so that a sealed secret cannot be passed off as another one, as an older one, or to
another host. What is sealed is padded: documents are public, and the length of a password is nobody's business.
"""

import binascii
from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from desired_state.document import SealedSecret
from desired_state.names import HostName, SecretName, SecretVersion

MAX_SECRET_BYTES = 16_384
"""Of one secret: a private key with its chain, or a file of properties."""
_BLOCK = 64
_LENGTH = 2
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


class NotSealed(ValueError):
    """A secret that cannot be sealed or opened. The text says which one of which host, and nothing of its bytes."""


def seal(
    value: bytes, *, host: HostName, name: SecretName, version: SecretVersion, key: X25519PublicKey
) -> SealedSecret:
    """The secret, for that host only. Never the same twice. Raises NotSealed for one that is too long."""
    if len(value) > MAX_SECRET_BYTES:
        raise NotSealed(f"secret {name} v{version} is {len(value)} bytes long; at most {MAX_SECRET_BYTES} are sealed")
    padded = len(value).to_bytes(_LENGTH, "big") + value
    padded += bytes(-len(padded) % _BLOCK)
    sealed = _SUITE.encrypt(padded, key, info=_info(host, name, version))
    return SealedSecret(name=name, version=version, sealed=b64encode(sealed).decode())


def open_sealed(secret: SealedSecret, *, host: HostName, key: X25519PrivateKey) -> bytes:
    """The secret's value. Raises NotSealed when it was not sealed to this host and key under this name and version."""
    try:
        data = b64decode(secret.sealed, validate=True)
        padded = _SUITE.decrypt(data, key, info=_info(host, secret.name, secret.version))
    except (InvalidTag, ValueError, binascii.Error) as error:
        raise NotSealed(f"secret {secret} is not sealed to this key of {host}: it cannot be opened") from error
    length = int.from_bytes(padded[:_LENGTH], "big")
    if not _LENGTH <= len(padded) - length <= _LENGTH + _BLOCK:
        raise NotSealed(f"secret {secret} of {host} is damaged: its length is wrong")
    return padded[_LENGTH : _LENGTH + length]


def _info(host: HostName, name: SecretName, version: SecretVersion) -> bytes:
    return b"\0".join((b"towline secret 1", host.encode(), name.encode(), str(version).encode()))
