"""The wheel, and fresh environments it is installed into."""

import os
import re
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.enrolled_host import EnrolledHost, enrolled_host
from tests.packaging.agent_release import RUNS_CODE
from tests.servers.agent_archive import unpack, variant

CHECKOUT = Path(__file__).resolve().parents[2]


def build(kind: str, source: Path, folder: Path) -> Path:
    """Build the "wheel" or the "sdist" of a source tree into the folder; return the file."""
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("towline-*"))


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that nox built and installed, or one built now from the checkout."""
    given = os.environ.get("TOWLINE_WHEEL")
    return Path(given) if given else build("wheel", CHECKOUT, tmp_path_factory.mktemp("wheel"))


class Environment:
    """A virtual environment of its own."""

    def __init__(self, folder: Path, wheel: Path, extra: str) -> None:
        venv.create(folder, with_pip=True)
        self.scripts = folder / "bin"
        constraints = ["--constraint", str(CHECKOUT / ".ci" / "constraints.txt")]
        self.run("python", "-m", "pip", "install", "--quiet", *constraints, f"{wheel}{extra}")

    def run(self, program: str, *arguments: str) -> str:
        """Run one of its programs, without any variable or folder of the tests; return what it printed."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TOWLINE"))}
        done = subprocess.run(
            [self.scripts / program, *arguments],
            cwd=self.scripts,
            env=clean,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def distributions(self) -> set[str]:
        """The names of what is installed, as pip writes them."""
        return {re.split("==| @ ", line)[0].lower() for line in self.run("python", "-m", "pip", "freeze").splitlines()}


@pytest.fixture(scope="session")
def puller_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What a VM gets: the wheel with its extra `puller`."""
    return Environment(tmp_path_factory.mktemp("puller") / "venv", wheel, "[puller]")


@pytest.fixture(scope="session")
def core_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel alone."""
    return Environment(tmp_path_factory.mktemp("core") / "venv", wheel, "")


@pytest.fixture(scope="session")
def release(agent_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked archive, where agentctl.sh puts it below a prefix."""
    return unpack(agent_archive, tmp_path_factory.mktemp("prefix") / "agent/releases/0.1.0-0123456789ab")


@pytest.fixture(scope="session")
def probe(agent_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release that runs code: `probe/bin/towline-puller CODE`."""
    folder = tmp_path_factory.mktemp("probe")
    return unpack(variant(agent_archive, folder, patch={"site/puller/cli.py": RUNS_CODE}), folder / "release")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[EnrolledHost]:
    """A host that never had a document, and its backend."""
    with enrolled_host(tmp_path / "enrolled") as made:
        yield made
