"""`etc/proxy.env`: the proxies of the agent's unit. A command by hand goes the same way only when it reads them too."""

import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_LINE = re.compile(r"""\s*(?:export\s+)?([A-Za-z_]+)=(?:"(.*)"|'(.*)'|(.*?))\s*""")


def read_proxy_file(path: Path) -> dict[str, str]:
    """The proxy variables in the file, as systemd reads an EnvironmentFile; none without it. Raises OSError."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    found: dict[str, str] = {}
    for line in text.splitlines():
        said = None if line.lstrip().startswith(("#", ";")) else _LINE.fullmatch(line)
        if said is not None and said[1].lower() in PROXY_VARIABLES:
            found[said[1]] = next((value for value in said.groups()[1:] if value is not None), "")
    return found


def is_proxy_variable(name: str) -> bool:
    """Whether libraries take their proxies from it."""
    return name.lower() in PROXY_VARIABLES


def stand_in(path: Path, environ: MutableMapping[str, str]) -> None:
    """The stored proxies for a command by hand, where its shell sets none. A file that is not ours to read is none."""
    if any(is_proxy_variable(name) and value for name, value in environ.items()):
        return
    try:
        environ.update(read_proxy_file(path))
    except OSError:
        return


def of_the_agent(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment as the agent has it: the stored proxies alone, where some are stored. Raises OSError."""
    stored = read_proxy_file(path)
    if not stored:
        return dict(environ)
    return {name: value for name, value in environ.items() if not is_proxy_variable(name)} | stored
