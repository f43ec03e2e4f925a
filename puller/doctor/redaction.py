"""Secrets out of texts: what this host knows to be secret, and whatever has the form of a secret."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from puller.paths import Paths
from puller.proxy_file import read_proxy_file
from puller.settings import Settings

HIDDEN = "[redacted]"
SHORTEST = 4
"""Shorter ones would be found in every word."""
_PATTERNS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"towline-join-1\.[A-Za-z0-9_.=-]+"),
    re.compile(r"(?<=://)[^/\s@\"']+@"),
    re.compile(r"(?i)(?<=authorization: )[^\r\n\"]+"),
    re.compile(r"(?i)(?<![A-Za-z])(?:password|passwd|secret|token)[\"']?\s*[=:]\s*[\"']?[^\s\"',}]+"),
)


class Redactor:
    """Knows what to hide on this host."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in (secret, quote(secret, safe=""), unquote(secret))}
        self._secrets = sorted((form for form in forms if len(form) >= SHORTEST), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text without them."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        for pattern in _PATTERNS:
            text = pattern.sub(lambda found: HIDDEN + ("@" if found[0].endswith("@") else ""), text)
        return text


def redactor(paths: Paths, settings: Settings | None, environ: Mapping[str, str]) -> Redactor:
    """Knows the proxies' passwords, the git password, and the lines of every key that lies here."""
    return Redactor([*_of_proxies(paths, environ), *_of_files(paths, settings)])


def _of_proxies(paths: Paths, environ: Mapping[str, str]) -> Iterable[str]:
    try:
        own = read_proxy_file(paths.proxies)
    except OSError:
        own = {}
    for variables in (own, environ):
        for name, value in variables.items():
            if name.lower().endswith("_proxy"):
                yield from _password(value)


def _password(url: str) -> Iterable[str]:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
    except ValueError:
        yield url
        return
    if parts.password:
        yield parts.password


def _of_files(paths: Paths, settings: Settings | None) -> Iterable[str]:
    files = list(paths.keys.glob("*")) if paths.keys.is_dir() else []
    files += list(paths.state.glob("keys.*/*")) + [file for file in paths.state.glob("keys.*") if file.is_file()]
    if settings is not None:
        files += [file for file in (settings.source.password_file, settings.source.ssh_key_file) if file is not None]
    for file in files:
        yield from _lines(file)


def _lines(file: Path) -> Iterable[str]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")[:65536]
    except OSError:
        return
    yield from (line.strip() for line in text.splitlines() if line.strip() and not line.startswith("-----"))
