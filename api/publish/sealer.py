"""Sealing for documents: each version of a secret once for each key of a host, so that documents stay as they are."""

from base64 import b64decode
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from msgspec import Struct

from api.errors import Misconfigured
from desired_state.document import SealedSecret
from desired_state.names import HostName, SecretName, SecretVersion
from desired_state.render import NotRenderable
from desired_state.sealing import NotSealed, seal


class SealedKey(NamedTuple):
    """Which version of which secret was sealed to which key of which host."""

    host: HostName
    name: SecretName
    version: SecretVersion
    sealing_key: str


class Encrypted(Struct, frozen=True, kw_only=True):
    """The newest version of a secret, as it lies in the database."""

    name: SecretName
    version: SecretVersion
    ciphertext: bytes


class Sealer:
    """What was sealed before, and what is sealed for the documents of one publication."""

    def __init__(
        self,
        *,
        keys: Mapping[HostName, str] | None = None,
        secrets: Iterable[Encrypted] = (),
        sealed: Mapping[SealedKey, str] | None = None,
        unlock: Callable[[SecretName, SecretVersion, bytes], bytes] | None = None,
    ) -> None:
        self._keys = keys or {}
        self._secrets = {secret.name: secret for secret in secrets}
        self._before = sealed or {}
        self._unlock = unlock
        self._values: dict[SecretName, bytes] = {}
        self._used: set[SealedKey] = set()
        self.made: dict[SealedKey, str] = {}
        """What was sealed anew, to be stored with the documents that carry it."""

    def sealed_to(self, host: HostName, names: Collection[SecretName]) -> dict[SecretName, SealedSecret]:
        """Those of these secrets that there are, for that host. Raises NotRenderable where that cannot be done."""
        if not names:
            return {}
        key = self._keys.get(host)
        if key is None:
            raise NotRenderable(
                f"is not enrolled: nothing can be sealed to it, and it uses secrets ({', '.join(sorted(names))}). "
                f"Invite it: towline host invite {host}"
            )
        return {name: self._sealed(host, self._secrets[name], key) for name in sorted(names) if name in self._secrets}

    def stale(self, hosts: Collection[HostName]) -> list[SealedKey]:
        """What was sealed before and these hosts, whose documents were made, need no more."""
        return sorted(key for key in self._before if key.host in hosts and key not in self._used)

    def _sealed(self, host: HostName, secret: Encrypted, sealing_key: str) -> SealedSecret:
        key = SealedKey(host, secret.name, secret.version, sealing_key)
        self._used.add(key)
        known = self._before.get(key) or self.made.get(key)
        if known is not None:
            return SealedSecret(name=secret.name, version=secret.version, sealed=known)
        try:
            public = X25519PublicKey.from_public_bytes(b64decode(sealing_key, validate=True))
            made = seal(self._value(secret), host=host, name=secret.name, version=secret.version, key=public)
        except (NotSealed, Misconfigured) as error:
            raise NotRenderable(str(error)) from error
        self.made[key] = made.sealed
        return made

    def _value(self, secret: Encrypted) -> bytes:
        if secret.name not in self._values:
            if self._unlock is None:
                raise Misconfigured("this publisher has no keys folder: nothing can be decrypted")
            self._values[secret.name] = self._unlock(secret.name, secret.version, secret.ciphertext)
        return self._values[secret.name]
