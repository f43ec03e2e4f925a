"""The layout of published documents in a folder or on a git branch."""

from hashlib import sha256

from desired_state.document import MAX_BYTES
from desired_state.names import HostName

MAX_SOURCE_BYTES = MAX_BYTES + (64 << 10)
"""More than any document with its signatures. A longer one is cut to this: acceptance refuses it by size."""


def document_path(host: HostName) -> str:
    """Where a host's document lies: 256 folders keep every folder, and every git tree, small."""
    return f"hosts/{sha256(host.encode()).hexdigest()[:2]}/{host}"


def trust_path(version: int) -> str:
    """Where the trust file of that version lies."""
    return f"trust/{version}.note"
