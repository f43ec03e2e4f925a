"""`etc/proxy.env`: the proxies of the agent's unit. A command by hand goes the same way only when it reads them too."""

import re
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
