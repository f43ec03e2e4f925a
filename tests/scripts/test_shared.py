"""What the kinds share, function by function: bats runs the files in tests/scripts/shared/."""

import subprocess
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parent / "shared"
SCRIPTS = SHARED.parents[2] / "scripts"
WITHOUT = {"adopt", "keep", "launcher", "verb", "change"}
"""Of these the whole is tested, with real processes: test_conformance, test_keeping, test_java."""


@pytest.mark.parametrize("file", sorted(SHARED.glob("*.bats")), ids=lambda file: file.stem)
def test_shared_functions(file: Path) -> None:
    """Every test of the file passes."""
    said = subprocess.run(["bats", str(file)], capture_output=True, text=True, check=False, timeout=600)
    assert 0 == said.returncode, said.stdout + said.stderr


def test_every_shared_file_has_its_tests() -> None:
    """A file of common/ has one of the same name here."""
    shared = {path.stem for path in SCRIPTS.glob("common/*.sh")}
    assert shared - WITHOUT == {path.stem for path in SHARED.glob("*.bats")}
