"""The agent's archive for hosts that have a Python: it installs without a network and runs like the other."""

import os
import subprocess
import tarfile
import venv
from pathlib import Path

import pytest

from tests.servers.agent_archive import build, own_wheel, unpack

pytestmark = pytest.mark.xdist_group("agent-archive")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of this checkout."""
    return build(own_wheel(), tmp_path_factory.mktemp("wheels"), "wheels")


def test_it_has_wheels_for_each_python_and_machine(archive: Path) -> None:
    """pygit2, which is compiled for each Python alone, is there six times; whatever else is needed, at least once."""
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    targets = {f"cp{python} {machine}" for python in ("311", "312", "313") for machine in ("x86_64", "aarch64")}
    found = {
        target
        for target in targets
        for name in names
        if name.startswith("wheels/pygit2-") and all(word in name for word in target.split())
    }
    assert targets == found
    assert own_wheel().name in {Path(name).name for name in names}


def test_it_installs_without_a_network_and_runs(archive: Path, tmp_path: Path) -> None:
    """Into an environment inside the release, as agentctl.sh does; the path of the release is in the command line."""
    root = unpack(archive, tmp_path / "agent/releases/0.1.0-0123456789ab")
    venv.create(root / "venv", with_pip=True)
    offline = ["--quiet", "--no-index", "--find-links", str(root / "wheels"), "towline[puller]"]
    clean = {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull}
    subprocess.run([root / "venv/bin/python", "-m", "pip", "install", *offline], env=clean, check=True, timeout=300)
    (tmp_path / "current").symlink_to(root)
    wrapper = tmp_path / "current/bin/towline-puller"
    said = subprocess.run([wrapper, "--version"], env=clean, capture_output=True, text=True, check=True).stdout
    facts = dict(line.split("=", 1) for line in (root / "release").read_text().splitlines())
    assert ("wheels", "any", f"{facts['version']}\n") == (facts["built_with"], facts["architecture"], said)
    shown = subprocess.run(
        ["sh", "-x", wrapper, "--version"], env=clean, capture_output=True, text=True, check=True
    ).stderr
    assert f"exec {root.resolve()}/venv/bin/python" in shown
