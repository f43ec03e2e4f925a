"""How the backend talks to a git server: credentials, host keys, CAs, proxies, deadlines. Shared by import and publish.

libgit2's defaults are not ours: no timeout, any ssh host key, wrong credentials tried fifteen times. Everything here is
blocking; callers keep one repository object in one thread.
"""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pygit2
from msgspec import Struct
from pygit2.enums import CredentialType

from api.settings import GitSettings

CONNECT_TIMEOUT_MS = 10_000
SERVER_TIMEOUT_MS = 60_000


class GitUnavailable(Exception):
    """The git server did not answer as hoped; trying again later may help. The text names server and cause."""


class GitRefused(Exception):
    """The git server refused us (credentials, host key, permission): a person has to act."""


class GitAccess(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a repository is and how to prove who we are. Secrets are paths of files, read when they are needed."""

    url: str
    """A local path, `file://`, `https://`, `ssh://user@host/path` or `user@host:path`. Without a password in it."""
    username: str = ""
    password_file: Path | None = None
    ssh_key_file: Path | None = None
    known_hosts_file: Path | None = None
    """Accepted ssh host keys in OpenSSH's form; without it `~/.ssh/known_hosts` of the process."""
    ca_file: Path | None = None
    """CAs in PEM form that replace those of the system."""

    @property
    def local_path(self) -> Path | None:
        """The folder of a repository on this machine; None for one behind a network."""
        if self.url.startswith("file://"):
            return Path(self.url.removeprefix("file://"))
        return Path(self.url) if self.url.startswith(("/", "./", "../")) else None

    @property
    def host(self) -> str:
        """The server's name, in lower case; empty for a path."""
        if "://" in self.url:
            return (urlsplit(self.url).hostname or "").lower()
        return self.url.partition(":")[0].rpartition("@")[2].lower() if self.local_path is None else ""


def access_of(git: GitSettings) -> GitAccess:
    """How to get to the repository of these settings."""
    return GitAccess(
        url=git.url,
        username=git.username,
        password_file=git.password_file,
        ssh_key_file=git.ssh_key_file,
        known_hosts_file=git.known_hosts_file,
        ca_file=git.ca_file,
    )


class Callbacks(pygit2.RemoteCallbacks):
    """Answers libgit2's questions during one operation, and remembers what a push was told."""

    def __init__(self, access: GitAccess) -> None:
        super().__init__()
        self._access = access
        self._asked = 0
        self.refused_refs: dict[str, str] = {}
        """Branches that the server did not move, and its words."""

    def credentials(  # type: ignore[override]  # pygit2 annotates a union of its own classes
        self, url: str, username_from_url: str | None, allowed_types: CredentialType
    ) -> object:
        """The configured credentials, once: libgit2 would offer wrong ones fifteen times and lock the account."""
        username = username_from_url or self._access.username or "git"
        if allowed_types & CredentialType.USERNAME:
            return pygit2.Username(username)
        self._asked += 1
        if self._asked > 1:
            raise GitRefused(f"{self._access.url} does not accept our credentials: check user, password or key file")
        if allowed_types & CredentialType.SSH_KEY and self._access.ssh_key_file:
            return pygit2.Keypair(username, None, str(self._access.ssh_key_file), "")
        if allowed_types & CredentialType.USERPASS_PLAINTEXT and self._access.password_file:
            password = self._access.password_file.read_text(encoding="utf-8").strip()
            return pygit2.UserPass(self._access.username or username, password)
        raise GitRefused(f"{self._access.url} asks for credentials and none that fit are configured")

    def certificate_check(self, certificate: None, valid: bool, host: bytes) -> bool:
        """Only what the library found valid: by default pygit2 lets every ssh host key pass."""
        name = host.decode(errors="replace") if isinstance(host, bytes) else host
        # libgit2 follows a first redirect to any server, and asks for credentials in the name of the one configured.
        if name.lower() != self._access.host:
            raise GitRefused(f"{self._access.url} leads to {name}, which gets no credentials: correct the url")
        if not valid:
            raise GitRefused(f"the certificate or host key of {name} is not one we trust: check CA or known_hosts file")
        return True

    def push_update_reference(self, refname: str, message: str | None) -> None:
        """Keep what the server said: a push that a hook denies returns as if it had succeeded."""
        if message is not None:
            self.refused_refs[refname] = message


_global_options = threading.Lock()


@contextmanager
def using(access: GitAccess, scratch: Path) -> Iterator[Callbacks]:
    """Callbacks for one remote operation, with libgit2's options set for this access.

    Deadlines, CAs and the place of known host keys are one set for the whole process in libgit2, so remote operations
    of one process go one after the other: each holds this lock, and each is bounded by the deadlines.
    """
    with _global_options:
        settings = pygit2.settings
        settings.server_connect_timeout = CONNECT_TIMEOUT_MS
        settings.server_timeout = SERVER_TIMEOUT_MS
        system = ssl.get_default_verify_paths()
        if access.ca_file is not None:
            settings.set_ssl_cert_locations(str(access.ca_file), None)
        elif system.cafile or system.capath:
            settings.set_ssl_cert_locations(system.cafile, system.capath)
        settings.homedir = str(_home_with_known_hosts(access, scratch))
        yield Callbacks(access)


def _home_with_known_hosts(access: GitAccess, scratch: Path) -> Path:
    if access.known_hosts_file is None:
        return Path.home()
    folder = scratch / "ssh-home" / ".ssh"  # libgit2 looks for host keys below a home folder and nowhere else
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "known_hosts").write_bytes(access.known_hosts_file.read_bytes())
    return folder.parent


def remote_of(repository: pygit2.Repository, access: GitAccess) -> pygit2.Remote:
    """A remote object for that access, without anything written to the repository's configuration."""
    return repository.remotes.create_anonymous(access.url)


def explain(access: GitAccess, doing: str, error: Exception) -> GitUnavailable | GitRefused:
    """One of our errors for what libgit2 raised while `doing` something."""
    text = f"{doing} {access.url}: {error}"
    lowered = str(error).lower()
    refused = ("authentication", "401", "403", "permission denied", "invalid credentials", "certificate", "hostkey")
    if any(word in lowered for word in refused):
        return GitRefused(text)
    return GitUnavailable(text)
