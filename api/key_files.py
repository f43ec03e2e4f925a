"""The backend's private keys: files of mode 0600 in the state folder, never in the database.

`publisher.key` signs documents, `root.key` signs trust files (and may be taken away to a safe once they are made),
`exchange.key` is the X25519 key that hosts derive their requests' key from, and `secrets.key` (vault.py) what
secrets are encrypted under. Several replicas share these files.
"""

import fcntl
import os
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from msgspec import Struct

from api.errors import Misconfigured
from desired_state.note import SigningKey

PUBLISHER = "publisher.key"
ROOT = "root.key"
EXCHANGE = "exchange.key"
NEXT = "publisher.next"
"""A new publisher's key while a rotation is on its way: it counts once a trust note names it."""
NEXT_ROOT = "root.next"
"""A new root key, likewise."""


class Keys(Struct, frozen=True, kw_only=True):
    """The private keys that are there."""

    publisher: SigningKey
    exchange: X25519PrivateKey
    root: SigningKey | None = None
    """None when it was taken to a safe: then nobody here can change whom hosts trust."""

    @property
    def exchange_public(self) -> str:
        """The public half of the exchange key, base64: as trust files carry it."""
        return b64encode(self.exchange.public_key().public_bytes_raw()).decode()


def read_keys(folder: Path) -> Keys | None:
    """The keys in that folder; None when there are none yet. Raises Misconfigured for half a set or a bad file."""
    if not (folder / PUBLISHER).exists() and not (folder / EXCHANGE).exists():
        return None
    try:
        root = SigningKey.parse(read_key(folder / ROOT)) if (folder / ROOT).exists() else None
        exchange = X25519PrivateKey.from_private_bytes(b64decode(read_key(folder / EXCHANGE), validate=True))
        return Keys(publisher=SigningKey.parse(read_key(folder / PUBLISHER)), exchange=exchange, root=root)
    except FileNotFoundError as error:
        raise Misconfigured(f"{error.filename}: cannot be read: {error}") from error
    except ValueError as error:
        raise Misconfigured(f"{folder}: a key file does not hold a key: {error}") from error


def make_keys(folder: Path, name: str, random: bytes) -> Keys:
    """New keys from 96 random bytes, written down before they are returned. `name` is how signatures are labelled."""
    keys = Keys(
        publisher=SigningKey.generate(f"{name}/towline-publisher", random[:32]),
        root=SigningKey.generate(f"{name}/towline-root", random[32:64]),
        exchange=X25519PrivateKey.from_private_bytes(random[64:96]),
    )
    if keys.root is not None:
        write_key(folder / ROOT, keys.root.private_text())
    write_key(folder / EXCHANGE, b64encode(keys.exchange.private_bytes_raw()).decode())
    write_key(folder / PUBLISHER, keys.publisher.private_text())
    return keys


def stage_publisher(folder: Path, key: SigningKey) -> None:
    """Write the key down before anybody is told to trust it."""
    write_key(folder / NEXT, key.private_text())


def settle_publisher(folder: Path, verifier: str) -> None:
    """Let the key that was staged take its place, when it is the one that the trust note names first.

    A rotation that was cut off after its note was stored ends here, in whichever process looks next.
    """
    _settle(folder / NEXT, folder / PUBLISHER, (verifier,))


def stage_root(folder: Path, key: SigningKey) -> None:
    """The same for a root key."""
    write_key(folder / NEXT_ROOT, key.private_text())


def settle_root(folder: Path, verifiers: Collection[str]) -> None:
    """Let the root key that was staged take its place, when the trust note names it. The former one counts no more."""
    _settle(folder / NEXT_ROOT, folder / ROOT, verifiers)


def read_signing_key(file: Path) -> SigningKey:
    """The signing key in that file. Raises Misconfigured."""
    try:
        return SigningKey.parse(read_key(file))
    except (ValueError, FileNotFoundError) as error:
        raise Misconfigured(f"{file}: holds no signing key: {error}") from error


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Makes the folder, for its owner only, and lets one process at a time make keys in it."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read_key(file: Path) -> str:
    """The text of a key file. Raises FileNotFoundError, and Misconfigured when others may read it."""
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="ascii")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{file}: cannot be read: {error}") from error
    if mode & 0o077:
        raise Misconfigured(f"{file}: others may read this private key; run: chmod 600 {file}")
    return text.strip()


def write_key(file: Path, text: str) -> None:
    """Durably, and never readable by others, not even for a moment."""
    temporary = file.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as handle:
        os.fchmod(descriptor, 0o600)
        handle.write(text + "\n")
        handle.flush()
        os.fsync(descriptor)
    temporary.replace(file)
    _sync(file.parent)


def _settle(staged: Path, place: Path, verifiers: Collection[str]) -> None:
    try:
        if str(SigningKey.parse(read_key(staged)).verifier) not in verifiers:
            return
        staged.replace(place)
    except (FileNotFoundError, ValueError):  # nothing is staged, another process was first, or it was cut off
        return
    _sync(place.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
