"""What the tests run against is what the session says it is."""

import os
import sysconfig
from importlib import import_module
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["api", "puller", "desired_state"])
def test_the_wheel_is_tested_when_nox_runs(name: str) -> None:
    """Under nox each package comes from site-packages, never from the checkout; without nox from the checkout."""
    home = Path(sysconfig.get_path("purelib")) if os.environ.get("TOWLINE_TESTED") == "wheel" else CHECKOUT
    assert Path(str(import_module(name).__file__)).parent == home / name
