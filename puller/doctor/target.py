"""The servers that this host must reach, and the way to each: straight, or through which proxy."""

from collections.abc import Mapping
from typing import Literal
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed lacks it

from msgspec import Struct

DEFAULT_PORTS = {"http": 80, "https": 443}


class Proxy(Struct, frozen=True, kw_only=True):
    """A forward proxy."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    variable: str = ""
    """Where it is set."""
    scheme: str = "http"

    @property
    def shown(self) -> str:
        """For people: no user, no password."""
        return f"{self.scheme}://{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Proxy({self.shown})"  # never a password in a traceback


class Target(Struct, frozen=True, kw_only=True):
    """One server."""

    role: Literal["backend", "git"]
    scheme: str
    host: str
    port: int
    shown: str
    proxy: Proxy | None = None

    @property
    def first_hop(self) -> tuple[str, int]:
        """Whom a connection is made to."""
        return (self.proxy.host, self.proxy.port) if self.proxy else (self.host, self.port)


def target_of(role: Literal["backend", "git"], scheme: str, host: str, port: int, environ: Mapping[str, str]) -> Target:
    """A server, and the way to it. libgit2 goes through a proxy over https only."""
    straight = scheme == "ssh" or (role == "git" and scheme != "https")
    return Target(
        role=role,
        scheme=scheme,
        host=host,
        port=port,
        shown=f"{scheme}://{host}:{port}",
        proxy=None if straight else proxy_of(scheme, host, port, environ),
    )


def proxy_of(scheme: str, host: str, port: int, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy that the usual variables name for this address (lower case first, as curl has it)."""
    set_ = {name.lower(): value for name, value in sorted(environ.items()) if name.lower().endswith("_proxy") and value}
    named = {name.removesuffix("_proxy"): value for name, value in set_.items()}
    if proxy_bypass_environment(f"{host}:{port}", named):
        return None
    for variable in (f"{scheme}_proxy", "all_proxy"):
        if variable in set_:
            return _proxy(set_[variable], variable)
    return None


def _proxy(url: str, variable: str) -> Proxy | None:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port
    except ValueError:
        return None
    if not parts.hostname:
        return None
    return Proxy(
        host=parts.hostname,
        port=port or {"http": 80, "https": 443}.get(parts.scheme, 1080),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        variable=variable,
        scheme=parts.scheme,
    )
