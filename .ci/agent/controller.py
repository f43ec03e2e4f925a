"""`ctl/agentctl.sh`: the script that keeps the agent alive, as one file that needs nothing beside it."""

import importlib
import sys
import zipfile
from pathlib import Path

_SCRIPTS = "desired_state/_scripts/"


def controller(wheel: Path) -> bytes:
    """agentctl.sh of the wheel with its parts joined, byte for byte what the backend of that wheel serves."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith(_SCRIPTS) and not name.endswith("/")]
        scripts = {name.removeprefix(_SCRIPTS): archive.read(name) for name in names}
    sys.path.insert(0, str(wheel))
    joined: bytes = importlib.import_module("desired_state.joined_script").joined("agentctl.sh", scripts)
    return joined
