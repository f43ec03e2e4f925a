"""What is in the wheel, and what comes with it."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.packaging.conftest import CHECKOUT, Environment, build

PACKAGES = ("api", "puller", "desired_state")
pytestmark = pytest.mark.xdist_group("packaging")


def _files(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def _committed(*folders: str) -> set[str]:
    # The checkout of a CI job often belongs to another account.
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", *folders]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.split("\0")
    return {name for name in listed if name}


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    """Templates, static files and migrations travel with the code."""
    assert _committed(*PACKAGES) - _files(wheel) == set()


def test_the_wheel_brings_nothing_else(wheel: Path) -> None:
    """No tests, no configuration of ours: only the three packages."""
    assert {name.partition("/")[0] for name in _files(wheel)} == set(PACKAGES)


def test_scripts_come_with_the_wheel_as_they_are(wheel: Path) -> None:
    """Each script has the same bytes and the same execute bit as in scripts/."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {
            info.filename.removeprefix("desired_state/_scripts/"): (
                archive.read(info),
                bool(info.external_attr >> 16 & 0o100),
            )
            for info in archive.infolist()
            if info.filename.startswith("desired_state/_scripts/")
        }
    kept = {name.removeprefix("scripts/"): CHECKOUT / name for name in _committed("scripts")}
    expected = {name: (path.read_bytes(), bool(path.stat().st_mode & 0o100)) for name, path in kept.items()}
    assert "common.sh" in expected
    assert packed == expected


def test_installed_scripts_can_be_executed(core_environment: Environment) -> None:
    """After pip install the kind scripts carry the execute bit on disk."""
    listing = (
        "import desired_state, os, pathlib;"
        "folder = pathlib.Path(desired_state.__file__).parent / '_scripts';"
        "print(*sorted(p.name for p in folder.glob('*ctl.sh') if os.access(p, os.X_OK)))"
    )
    kinds = sorted(Path(name).name for name in _committed("scripts") if Path(name).match("scripts/*ctl.sh"))
    assert core_environment.run("python", "-c", listing).split() == kinds


def test_the_core_needs_two_libraries(core_environment: Environment) -> None:
    """Without extras there is msgspec and cryptography (with what it brings), and every core module imports."""
    assert core_environment.distributions() - {"cffi", "pycparser"} == {"towline", "msgspec", "cryptography"}
    importing = (
        "import desired_state, importlib, pkgutil;"
        "names = [m.name for m in pkgutil.walk_packages(desired_state.__path__, 'desired_state.')];"
        "[importlib.import_module(name) for name in names];"
        "print(len(names))"
    )
    assert int(core_environment.run("python", "-c", importing)) > 10


def test_a_vm_gets_no_web_stack(puller_environment: Environment) -> None:
    """The extra `puller` brings nothing that only the backend uses."""
    backend = {"litestar", "sqlalchemy", "jinja2", "granian", "alembic", "aiomysql", "pymysql", "prometheus-client"}
    assert puller_environment.distributions() & backend == set()


def test_the_agent_starts_where_only_the_agent_is(puller_environment: Environment) -> None:
    """`towline-puller --help` works on a VM's install and names its verbs."""
    shown = puller_environment.run("towline-puller", "--help")
    assert [
        verb for verb in ("enroll", "run", "once", "plan", "status", "suspend", "resume") if verb not in shown
    ] == []


def test_the_three_names_are_ours_alone(puller_environment: Environment) -> None:
    """No other distribution brings a package api, puller or desired_state: one would silently replace the other."""
    asking = (
        "from importlib.metadata import packages_distributions as owners;"
        "print(*[f'{name}={sorted(set(owners()[name]))}' for name in ('api', 'puller', 'desired_state')])"
    )
    expected = "api=['towline'] puller=['towline'] desired_state=['towline']"
    assert puller_environment.run("python", "-c", asking).strip() == expected


def test_the_wheel_of_the_sdist_is_the_same(wheel: Path, tmp_path: Path) -> None:
    """Whoever builds from the source archive gets the same files."""
    archive = build("sdist", CHECKOUT, tmp_path / "sdist")
    (tmp_path / "source").mkdir()
    subprocess.run(["tar", "--extract", "--file", archive, "--directory", tmp_path / "source"], check=True)
    source = next((tmp_path / "source").iterdir())
    assert _files(build("wheel", source, tmp_path / "wheel")) == _files(wheel)
