"""Who this host is: an Ed25519 key that signs, and an X25519 key to seal to. Made here, they never leave the host."""

import os
from base64 import b64encode
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from msgspec import Struct

from puller.durable_file import make_folder, write_file
from puller.ports import Stalled

IDENTITY = "identity"
SEALING = "sealing"


class HostKeys(Struct, frozen=True, kw_only=True):
    """A host's private keys."""

    identity: Ed25519PrivateKey
    sealing: X25519PrivateKey

    @property
    def identity_public(self) -> str:
        """Base64 of the raw Ed25519 public key."""
        return b64encode(self.identity.public_key().public_bytes_raw()).decode()

    @property
    def sealing_public(self) -> str:
        """Base64 of the raw X25519 public key."""
        return b64encode(self.sealing.public_key().public_bytes_raw()).decode()

    def __repr__(self) -> str:
        return "HostKeys(…)"  # never in a log


def generate_keys() -> HostKeys:
    """A new identity."""
    return HostKeys(identity=Ed25519PrivateKey.generate(), sealing=X25519PrivateKey.generate())


def store_keys(keys: HostKeys, folder: Path) -> None:
    """Writes both keys into `folder` (made with mode 0700) as PEM files of mode 0600. Raises OSError."""
    make_folder(folder, mode=0o700)
    write_file(folder / IDENTITY, _pem(keys.identity), mode=0o600)
    write_file(folder / SEALING, _pem(keys.sealing), mode=0o600)


def load_keys(folder: Path) -> HostKeys:
    """The keys in `folder`. Raises Stalled when they are missing, damaged, or readable by others."""
    identity, sealing = _load(folder / IDENTITY), _load(folder / SEALING)
    if not isinstance(identity, Ed25519PrivateKey) or not isinstance(sealing, X25519PrivateKey):
        raise Stalled(f"the host keys in {folder} are of another kind: enrol this host again with --force")
    return HostKeys(identity=identity, sealing=sealing)


def _pem(key: Ed25519PrivateKey | X25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _load(path: Path) -> object:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            others = os.fstat(file.fileno()).st_mode & 0o077
            data = file.read(4096)
    except OSError as error:
        raise Stalled(f"the host key {path} cannot be read ({error.strerror}): enrol this host") from error
    if others:
        raise Stalled(f"the host key {path} is readable by others: chmod 600 it, and enrol again if anybody was there")
    try:
        return load_pem_private_key(data, password=None)
    except ValueError as error:
        raise Stalled(f"the host key {path} is damaged: enrol this host again with --force") from error
