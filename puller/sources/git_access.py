"""What a git source needs to know."""

from pathlib import Path

from msgspec import Struct

from puller.ports import Stalled


class GitLimits(Struct, frozen=True, kw_only=True):
    """Bounds of one fetch, in seconds and bytes, and of what the clone may hold."""

    connect_s: float = 10
    silence_s: float = 20
    """How long the server may say nothing."""
    total_s: float = 55
    max_bytes: int = 256 << 20
    max_packs: int = 50
    """libgit2 never packs anew: beyond this the clone is made afresh."""


class GitAccess(Struct, frozen=True, kw_only=True):
    """Where the repository is, and what this host shows and believes there. Files are read at each fetch."""

    url: str
    """https://…, ssh://…, user@host:path, file://… or a path. No password in it."""
    branch: str = "published"
    username: str = ""
    password_file: Path | None = None
    ssh_key_file: Path | None = None
    known_hosts_file: Path | None = None
    ca_file: Path | None = None
    """Certificates to trust beside those of the operating system."""
    limits: GitLimits = GitLimits()


def read_named(path: Path, what: str) -> bytes:
    """A file that the settings name. Raises Stalled, saying which and why."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Stalled(f"{what} in {path} cannot be read: {error.strerror}") from error
