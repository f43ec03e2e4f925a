"""What libgit2 asks while it talks to a server."""

import time

import pygit2
from pygit2.enums import CredentialType

from puller.ports import Stalled, Unavailable
from puller.sources.git_access import GitAccess, read_named
from puller.sources.git_address import Address

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Callbacks(pygit2.RemoteCallbacks):
    """Credentials once, to the configured server only; certificates as the library found them; bounds, a deadline."""

    def __init__(self, access: GitAccess, address: Address) -> None:
        super().__init__()
        self._access = access
        self._address = address
        self._shown_credentials = False
        self._ends_at = time.monotonic() + access.limits.total_s

    def certificate_check(self, certificate: None, valid: bool, host: bytes) -> bool:
        # libgit2 follows the first redirect wherever it leads, and then tells `credentials` the url it started from.
        name = host.decode("ascii", "replace").lower()
        if name != self._address.host:
            raise Stalled(f"{self._address.shown}: leads to {name}, which gets no credentials. Correct the url")
        return valid

    def credentials(
        self, url: str, username_from_url: str | None, allowed_types: CredentialType
    ) -> pygit2.Keypair | pygit2.UserPass | pygit2.Username:
        if self._address.scheme == "http" and self._address.host not in _LOOPBACK:
            raise Stalled(f"{self._address.shown}: wants credentials, which are not sent in clear. Use https")
        name = self._access.username or username_from_url or "git"
        if allowed_types == CredentialType.USERNAME:
            return pygit2.Username(name)
        if self._shown_credentials:
            raise Stalled(
                f"{self._address.shown}: refuses our credentials ({name}). Correct them, or give this host access"
            )
        self._shown_credentials = True
        return self._credentials_of(name, allowed_types)

    def _credentials_of(self, name: str, allowed: CredentialType) -> pygit2.Keypair | pygit2.UserPass:
        access, shown = self._access, self._address.shown
        if allowed & CredentialType.SSH_KEY and access.ssh_key_file is not None:
            read_named(access.ssh_key_file, "the ssh key")
            return pygit2.Keypair(name, None, str(access.ssh_key_file), "")
        if allowed & CredentialType.USERPASS_PLAINTEXT and access.password_file is not None:
            return pygit2.UserPass(name, read_named(access.password_file, "the password").decode().strip())
        wanted = "ssh_key_file" if allowed & CredentialType.SSH_KEY else "username and password_file"
        raise Stalled(f"{shown}: wants credentials, and none are configured. Set {wanted} of the source")

    def transfer_progress(self, stats: pygit2.remotes.TransferProgress) -> None:
        if stats.received_bytes > self._access.limits.max_bytes:
            raise Stalled(f"{self._address.shown}: sends more than {self._access.limits.max_bytes} bytes")
        self._check_deadline()

    def sideband_progress(self, string: str) -> None:
        self._check_deadline()

    def _check_deadline(self) -> None:
        if time.monotonic() > self._ends_at:
            raise Unavailable(f"{self._address.shown}: not done in {self._access.limits.total_s:g} s")
