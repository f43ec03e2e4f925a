"""The address of a git repository, taken apart."""

from re import compile as pattern
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from puller.ports import Stalled

_SCP = pattern(r"(?:([^@/:]+)@)?([^@/:]+|\[[0-9A-Fa-f:]+\]):(?![/:]*//|:)(.+)")
"""user@host:path, as git writes ssh addresses."""
_PORTS = {"ssh": 22, "https": 443, "http": 80, "file": 0}


class Address(Struct, frozen=True, kw_only=True):
    """Where a repository is."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_remote(self) -> bool:
        """Whether it must be fetched."""
        return self.scheme != "file"

    @property
    def shown(self) -> str:
        """For people and logs: no user, no password, no query."""
        if not self.is_remote:
            return self.path
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}/{self.path.lstrip('/')}"


def address_of(url: str) -> Address:
    """The parts of an address. Raises Stalled for one that git does not have, or that holds a password."""
    if url.startswith(("/", "./", "../")):
        return Address(scheme="file", path=url)
    scp = _SCP.fullmatch(url) if "://" not in url else None
    if scp is not None:
        return Address(scheme="ssh", host=scp[2].strip("[]").lower(), port=22, path=scp[3])
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Stalled(f"the url of the git source cannot be read: {error}") from error
    if parts.scheme not in _PORTS or (parts.scheme != "file" and not parts.hostname):
        raise Stalled("the url of the git source is none of https://, ssh://, user@host:path, file:// or a path")
    if parts.password is not None:
        raise Stalled("the url of the git source holds a password: put it in a file and name that as password_file")
    return Address(
        scheme=parts.scheme,
        host=(parts.hostname or "").lower(),
        port=port or _PORTS[parts.scheme],
        path=unquote(parts.path),
    )
