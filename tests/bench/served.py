"""A backend process with enrolled hosts and published documents, for measuring from outside."""

import asyncio
import base64
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import insert

from api.backend import open_backend
from api.database import transaction
from api.models import host_document, host_identity
from api.settings import ServerSettings, Settings, StateSettings
from desired_state.document import encode
from desired_state.names import digest_of
from desired_state.note import SigningKey, sign
from desired_state.request_signature import SharedKey, shared_key, sign_request
from tests.bench.fleet import document, host_names
from tests.servers.process import free_port


@dataclass(frozen=True, kw_only=True)
class Poll:
    """One host's question, ready to be sent."""

    path: str
    headers: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Seeded:
    """A state folder with everything in it, and what its hosts ask."""

    settings: Settings
    polls: list[Poll]


def seed(folder: Path, *, hosts: int) -> Seeded:
    """Make keys and a database with so many hosts, each enrolled, with a document of ten services."""
    settings = Settings(server=ServerSettings(port=free_port()), state=StateSettings(folder=folder))
    return Seeded(settings=settings, polls=asyncio.run(_fill(settings, host_names(hosts))))


async def _fill(settings: Settings, names: list[str]) -> list[Poll]:
    sealing = X25519PrivateKey.from_private_bytes(b"s" * 32)
    public = base64.b64encode(sealing.public_key().public_bytes_raw()).decode()
    signer = SigningKey.generate("bench", bytes(range(32)))
    notes = {name: sign(encode(document(name, services=10)), [signer]) for name in names}
    async with open_backend(settings) as backend:
        async with transaction(backend.engine) as connection:
            for name, note in notes.items():
                await connection.execute(
                    insert(host_identity).values(
                        host=name, identity_key="", sealing_key=public, enrolled_at_us=1, agent_version="", boot_id=""
                    )
                )
                digest = digest_of(note)
                await connection.execute(
                    insert(host_document).values(
                        host=name,
                        revision=1,
                        epoch=1,
                        digest=digest,
                        content_digest=digest,
                        note=note,
                        issued_at_us=time.time_ns() // 1000,
                        expires_at_us=time.time_ns() // 1000 + 10**12,
                    )
                )
        exchange = backend.trusted.keys.exchange.public_key()
    return [_poll(name, digest_of(note), shared_key(sealing, exchange, name)) for name, note in notes.items()]


def _poll(name: str, digest: str, key: SharedKey) -> Poll:
    path = f"/v1/hosts/{name}/document"
    signed = sign_request(
        "GET", path, None, keyid=name, key=key, alg="hmac-sha256", created=int(time.time()), nonce=f"nonce-{name}"
    )
    return Poll(path=path, headers={**signed, "If-None-Match": f'"{digest}"'})


def command(name: str, module: str) -> list[str]:
    """How to call an installed command; from a checkout, where none is installed, its module."""
    script = Path(sys.executable).with_name(name)
    return [str(script)] if script.exists() else [sys.executable, "-c", f"from {module} import main; main()"]


@contextmanager
def backend_process(seeded: Seeded) -> Iterator[psutil.Process]:
    """`towline serve` on that state, until the block is left."""
    environment = {
        **os.environ,
        "TOWLINE_STATE_FOLDER": str(seeded.settings.state_folder),
        "TOWLINE_SERVER_PORT": str(seeded.settings.server.port),
    }
    process = subprocess.Popen(
        [*command("towline", "api.cli"), "serve"],
        env=environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)
