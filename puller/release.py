"""Which release of the agent a process runs from: agentctl.sh keeps them side by side, each in a folder of its own."""

import re
from pathlib import Path

_RELEASE = re.compile(rb"/agent/releases/([A-Za-z0-9][A-Za-z0-9._+~-]{0,199})/")


def release_of(pid: int | str) -> str:
    """The folder name of the release in the command line of a process; empty outside one, or when it is gone."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    found = _RELEASE.search(command)
    return found[1].decode() if found else ""
