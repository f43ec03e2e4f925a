"""libgit2's settings, which it has once per process: deadlines, whom to believe, and nothing of the user's."""

import ssl
from hashlib import sha256
from pathlib import Path

import pygit2
from pygit2.enums import ConfigLevel

from puller.authorities import system_ca_file
from puller.ports import Stalled
from puller.sources.git_access import GitAccess, read_named
from puller.sources.git_address import Address
from puller.sources.known_hosts import host_keys, lines_for

_trusted: set[bytes] = set()
"""Digests of the CA files that libgit2 was given in this process. It can only be given more; each costs 10 ms."""


def set_up_library(access: GitAccess, address: Address, folder: Path) -> None:
    """Before each fetch: another source of this process may have set them otherwise.

    By default libgit2 has no timeouts, believes any ssh host key when nobody objects, and obeys the user's
    configuration (rewritten urls, proxies, other known_hosts).
    """
    settings = pygit2.settings
    settings.server_connect_timeout = int(access.limits.connect_s * 1000)
    settings.server_timeout = int(access.limits.silence_s * 1000)
    # The source reads bytes that are signed: whose files a local repository is made of proves nothing more.
    settings.owner_validation = False
    home = folder / "home"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.homedir = str(home)
    for level in (ConfigLevel.SYSTEM, ConfigLevel.XDG, ConfigLevel.GLOBAL):
        settings.search_path[level] = str(home)
    if address.scheme == "ssh":
        _pin_host_keys(access, address, home)
    if address.scheme == "https":
        _trust_authorities(access)


def _pin_host_keys(access: GitAccess, address: Address, home: Path) -> None:
    """libssh2 looks into `~/.ssh/known_hosts` and nowhere else: it gets one of ours, with this server's keys only."""
    if access.known_hosts_file is None:
        raise Stalled(
            f"{address.shown}: its host key is not pinned. Set known_hosts_file of the source (see ssh-keyscan)"
        )
    text = read_named(access.known_hosts_file, "the host keys").decode(errors="replace")
    keys = host_keys(text, address.host, address.port)
    if not keys:
        raise Stalled(f"{access.known_hosts_file} names no host key of {address.shown}. Add it (see ssh-keyscan)")
    (home / ".ssh").mkdir(mode=0o700, exist_ok=True)
    (home / ".ssh/known_hosts").write_text(lines_for(keys, address.host, address.port))


def _trust_authorities(access: GitAccess) -> None:
    """pygit2 has loaded OpenSSL's default places when it was imported; here come those that are missing there."""
    system = system_ca_file() if ssl.get_default_verify_paths().cafile is None else None
    if system is not None:
        _trust(system)
    if access.ca_file is not None:
        _trust(access.ca_file)


def _trust(file: Path) -> None:
    data = read_named(file, "the CA file")
    digest = sha256(data).digest()
    if digest in _trusted:
        return
    try:
        pygit2.settings.set_ssl_cert_locations(str(file), None)
    except pygit2.GitError as error:
        raise Stalled(f"the CA file {file} cannot be used: {error}. Put PEM certificates there") from error
    _trusted.add(digest)
