"""Programs of another Debian suite, run by the suite's own loader: no root is needed and the machine is not touched."""

import os
import platform
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


class SuiteTree:
    """A folder with the files of some packages of one suite, as in a root file system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._libraries = folder / f"usr/lib/{platform.machine()}-linux-gnu"

    def path(self, name: str) -> Path:
        """Where a file of the packages is, e.g. usr/share/mysql."""
        return self._folder / name

    def command(self, program: str) -> list[str]:
        """How to run a program of the tree on this machine: by the tree's own loader, with its own libraries."""
        loader = next(self._libraries.glob("ld-linux-*.so.*"))
        path = self._folder / program
        return [str(loader), "--library-path", str(self._libraries), "--argv0", str(path), str(path)]


def cache_folder() -> Path:
    """Where downloads are kept between runs: $TOWLINE_TEST_CACHE, else .cache/ beside the tests."""
    given = os.environ.get("TOWLINE_TEST_CACHE")
    folder = Path(given) if given else CHECKOUT / ".cache"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def suite_tree(suite: str, *packages: str) -> SuiteTree:
    """The unpacked packages of a suite, fetched on first use. Safe to call from several pytest workers at once."""
    folder = cache_folder() / f"{suite}-{packages[0]}"
    fetch = [sys.executable, str(CHECKOUT / ".ci/agent/debian_suite.py"), suite, str(folder), *packages]
    subprocess.run(fetch, check=True)
    return SuiteTree(folder)
