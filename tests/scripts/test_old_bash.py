"""The scripts under the oldest bash that can be had: functions, and a service's whole life.

Hosts have bash 4.4 and later. No registry that the tests reach carries 4.4: Debian's mirrors begin with bullseye, whose
bash is 5.1. What came between the two, `test_bans.py` finds in the text (`script_form.NEWER_THAN_4_4`).
"""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.scripts.calling import Service
from tests.scripts.kinds.case import case_of
from tests.servers.debian_suite import suite_tree
from tests.servers.process import free_port

SHARED = Path(__file__).resolve().parent / "shared"
OLD = "5.1"


@pytest.fixture(scope="module")
def old() -> Path:
    """A folder for PATH in which bash is the old one: it runs with the libraries of this machine, which are newer."""
    folder = suite_tree("bullseye", "bash").path("as-bash")
    folder.mkdir(exist_ok=True)
    with suppress(FileExistsError):
        (folder / "bash").symlink_to("../bin/bash")
    return folder


class OldService(Service):
    """A service whose scripts run under another bash."""

    bash = Path()

    def environment(self) -> dict[str, str]:
        """With that bash before the host's."""
        made = super().environment()
        return made | {"PATH": f"{self.bash}:{made['PATH']}"}


def test_it_is_the_old_one(old: Path) -> None:
    """The version of the program that the tests here run under."""
    said = subprocess.run([old / "bash", "-c", "echo $BASH_VERSION"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith(f"{OLD}.")


@pytest.mark.parametrize("file", sorted(SHARED.glob("*.bats")), ids=lambda file: file.stem)
def test_shared_functions(file: Path, old: Path) -> None:
    """Every test of the shared functions passes."""
    environment = {**os.environ, "PATH": f"{old}:{os.environ['PATH']}"}
    said = subprocess.run(
        ["bats", str(file)], capture_output=True, text=True, check=False, timeout=240, env=environment
    )
    assert 0 == said.returncode, said.stdout + said.stderr


@pytest.mark.parametrize("kind", ["redis", "jdk"])
def test_a_whole_life(kind: str, old: Path, folder: Path) -> None:
    """From nothing to nothing, with an edit by hand between."""
    case = case_of(kind)
    service = OldService(
        kind=kind,
        name="one",
        folder=folder,
        version=case.version,
        packages=case.packages(),
        parameters=case.parameters(free_port()),
        secrets=case.secrets,
    )
    service.bash = old
    for verb, state in (("install", "stopped"), ("configure", "stopped"), ("start", "running")):
        assert ("1", "0") == (service.do(verb).changed, service.do(verb).changed), verb
        assert state == service.state_now()
    edited = Path(service.status().all("watch")[0])
    edited.write_text(edited.read_text() + "by_hand=1\n")
    assert 1 == len(service.status().all("drift"))
    service.do("configure", "restart")
    assert ([], "running") == (service.status().all("drift"), service.state_now())
    service.do("stop", "uninstall", "purge")
    assert [] == list((service.prefix / "services").iterdir())
