"""A host that signs, and a backend that knows it: for tests of what hosts ask."""

import base64
from datetime import UTC, datetime
from itertools import count

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import host_identity
from api.moments import micros
from desired_state.request_signature import shared_key, sign_request

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
BACKEND_KEY = X25519PrivateKey.from_private_bytes(b"b" * 32)
_nonces = count(10_000_000)


class SigningHost:
    """A host with a key of its own."""

    def __init__(self, name: str, seed: bytes = b"h", backend: X25519PublicKey | None = None) -> None:
        self.name = name
        self._backend = backend or BACKEND_KEY.public_key()
        self._sealing = X25519PrivateKey.from_private_bytes(seed * 32)

    @property
    def sealing_key(self) -> str:
        """Base64 of its public key."""
        return base64.b64encode(self._sealing.public_key().public_bytes_raw()).decode()

    async def enrol(self, connection: AsyncConnection, at: datetime = NOW) -> None:
        """Become known to the backend."""
        await connection.execute(
            insert(host_identity).values(
                host=self.name,
                identity_key="",
                sealing_key=self.sealing_key,
                enrolled_at_us=micros(at),
                agent_version="",
                boot_id="",
            )
        )

    def headers(
        self, method: str, target: str, body: bytes | None = None, *, created: datetime = NOW, keyid: str = ""
    ) -> dict[str, str]:
        """What signs this request."""
        key = shared_key(self._sealing, self._backend, self.name)
        return sign_request(
            method,
            target,
            body,
            keyid=keyid or self.name,
            key=key,
            alg="hmac-sha256",
            created=int(created.timestamp()),
            nonce=str(next(_nonces)),
        )
