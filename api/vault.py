"""Secrets at rest: AES-256-GCM under `secrets.key` in the keys folder, which is not in the database.

Name and version are bound into each ciphertext: whoever writes to the database cannot pass one secret off as another.
"""

import secrets
from base64 import b64decode, b64encode
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from api import key_files
from api.errors import Misconfigured
from desired_state.names import SecretName, SecretVersion

KEY = "secrets.key"
_NONCE = 12


class Vault:
    """Encrypts and decrypts, by the key in that folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / KEY

    def make_key(self) -> None:
        """Make the key unless there is one. Only while nothing is encrypted yet."""
        with key_files.only_one(self._file.parent):
            if not self._file.exists():
                key_files.write_key(self._file, b64encode(secrets.token_bytes(32)).decode())

    def lock(self, name: SecretName, version: SecretVersion, value: bytes) -> bytes:
        """The value, encrypted. Raises Misconfigured without the key."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher().encrypt(nonce, value, _bound(name, version))

    def unlock(self, name: SecretName, version: SecretVersion, ciphertext: bytes) -> bytes:
        """The value. Raises Misconfigured without the key that it was encrypted under."""
        try:
            return self._cipher().decrypt(ciphertext[:_NONCE], ciphertext[_NONCE:], _bound(name, version))
        except InvalidTag as error:
            raise Misconfigured(
                f"{self._file} is not the key that secret {name} v{version} was encrypted under, or the database was "
                f"altered: copy the keys folder of the backend that set it, or run: towline secret set {name}"
            ) from error

    def _cipher(self) -> AESGCM:
        try:
            return AESGCM(b64decode(key_files.read_key(self._file), validate=True))
        except FileNotFoundError as error:
            raise Misconfigured(
                f"{self._file}: is not here, and secrets were encrypted under it: copy it from the backend that made it"
            ) from error
        except ValueError as error:
            raise Misconfigured(f"{self._file}: holds no key: {error}") from error


def _bound(name: SecretName, version: SecretVersion) -> bytes:
    return b"\0".join((b"towline secret at rest 1", name.encode(), str(version).encode()))
