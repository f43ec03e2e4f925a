"""What the tests run against is what the session says it is."""

import os
import subprocess
import sys
import sysconfig
from importlib import import_module
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["api", "puller", "desired_state"])
def test_the_wheel_is_tested_when_nox_runs(name: str) -> None:
    """Under nox each package comes from site-packages, never from the checkout; without nox from the checkout."""
    assert Path(str(import_module(name).__file__)).parent == _home() / name


def test_processes_that_tests_start_are_of_the_wheel_too() -> None:
    """A Python started in the checkout, as tests start them, imports the same packages."""
    asking = "import api, os; print(os.path.dirname(api.__file__))"
    said = subprocess.run([sys.executable, "-c", asking], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert Path(said.stdout.strip()) == _home() / "api"


def _home() -> Path:
    return Path(sysconfig.get_path("purelib")) if os.environ.get("TOWLINE_TESTED") == "wheel" else CHECKOUT
