"""Join tokens for tests, with the fields that name the agent, whatever the class knows of them already."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.agent.archives import hex_of

SECRET = "canary-" + "s" * 36


def token(
    backend_url: str = "http://127.0.0.1:9",
    *,
    host: str = "vm1",
    archive: Path | None = None,
    agentctl: str = "",
    expires_in: timedelta = timedelta(hours=1),
    **more: object,
) -> str:
    """The line that a person pastes."""
    fields: dict[str, object] = {
        "host": host,
        "id": "token-0001",
        "secret": SECRET,
        "backend_url": backend_url,
        "trust_digest": "sha256:" + "0" * 64,
        "expires_at": (datetime.now(UTC) + expires_in).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if agentctl:
        fields["agentctl_digest"] = f"sha256:{agentctl}"
    if archive is not None:
        fields |= {"agent_digest": f"sha256:{hex_of(archive)}", "agent_size": archive.stat().st_size}
    return line_of(json.dumps(fields | more, separators=(",", ":")).encode())


def line_of(data: bytes) -> str:
    """Those bytes as a token's line."""
    return "towline-join-1." + urlsafe_b64encode(data).decode().rstrip("=")
