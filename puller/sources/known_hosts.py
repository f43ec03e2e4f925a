"""Which host keys an ssh server may show: read from a known_hosts file as ssh reads it (sshd(8), SSH_KNOWN_HOSTS).

libssh2's own reader knows fewer forms (no wildcards, no markers), and compares a key of `host` for any port of it. So
the file is read here, and libssh2 is given only the lines that hold for one server.
"""

import hmac
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator
from fnmatch import fnmatchcase
from hashlib import sha1
from re import compile as pattern

from msgspec import Struct

_HASHED = pattern(r"\|1\|([A-Za-z0-9+/=]+)\|([A-Za-z0-9+/=]+)")


class HostKey(Struct, frozen=True, kw_only=True):
    """One key that a server may show."""

    type: str
    key: str
    """Base64, as in the file."""


def host_keys(text: str, host: str, port: int) -> tuple[HostKey, ...]:
    """The keys that `text` names for this server. A key that is marked as revoked is never among them."""
    name = address(host, port)
    named = [(marker, key) for marker, hosts, key in _lines(text) if _matches(hosts, name)]
    revoked = {key.key for marker, key in named if marker == "@revoked"}
    return tuple(key for marker, key in named if not marker and key.key not in revoked)


def lines_for(keys: tuple[HostKey, ...], host: str, port: int) -> str:
    """A known_hosts file with these keys for this server and nothing else."""
    return "".join(f"{address(host, port)} {key.type} {key.key}\n" for key in keys)


def address(host: str, port: int) -> str:
    """How known_hosts names a server: the port only where it is not 22."""
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def _lines(text: str) -> Iterator[tuple[str, str, HostKey]]:
    for line in text.splitlines():
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) >= 3 and not words[0].startswith("#") and _is_key(words[1], words[2]):
            yield marker, words[0], HostKey(type=words[1], key=words[2])


def _is_key(kind: str, key: str) -> bool:
    """Whether the blob says the same type as the line: a line that is damaged names no key."""
    try:
        blob = b64decode(key, validate=True)
    except Base64Error:
        return False
    return blob[4 : 4 + int.from_bytes(blob[:4], "big")] == kind.encode()


def _matches(hosts: str, name: str) -> bool:
    hashed = _HASHED.fullmatch(hosts)
    if hashed is not None:
        return _is_hash_of(hashed[1], hashed[2], name)
    patterns = hosts.lower().split(",")
    if any(each.startswith("!") and _fits(name, each[1:]) for each in patterns):
        return False
    return any(_fits(name, each) for each in patterns if not each.startswith("!"))


def _fits(name: str, wanted: str) -> bool:
    # Brackets are part of an address with a port, and no character class as fnmatch would have it.
    return fnmatchcase(name, wanted.replace("[", "[[]"))


def _is_hash_of(salt: str, digest: str, name: str) -> bool:
    try:
        expected = hmac.new(b64decode(salt, validate=True), name.encode(), sha1).digest()
    except Base64Error:
        return False
    return hmac.compare_digest(b64encode(expected), digest.encode())
