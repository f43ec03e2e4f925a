"""Write the versions that are installed in this environment as constraints: lock.py FILE"""

import sys
from importlib.metadata import distributions
from pathlib import Path

# Brought by the environment itself, or the project.
NOT_PINNED = {"pip", "setuptools", "wheel", "towline"}
HEADER = """\
# The exact version of everything that towline, its tests and its tools use. Every nox session installs under it.
# Written by `nox -s lock`; names and versions alone, so that any registry may serve them.
"""


def pins() -> list[str]:
    """name==version of each distribution, sorted as a person would look it up."""
    found = {dist.metadata["Name"].lower().replace("_", "-"): dist.version for dist in distributions()}
    return [f"{name}=={version}" for name, version in sorted(found.items()) if name not in NOT_PINNED]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(HEADER + "\n".join(pins()) + "\n")
