"""`towline kind new`: what it writes is good as it stands, and it overwrites nothing."""

import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from api.as_code.catalogue_files import read_entry
from api.cli import main
from api.kinds.skeleton import first_files
from api.publish.bundle import make_bundle, merge_scripts, read_scripts, shipped_folder
from desired_state.catalogue import Catalogue, HostEntry, PackageEntry, ServiceEntry
from desired_state.problems import problems
from desired_state.script_form import banned, shape_faults

NAMES = ("hello", "a", "my_own_kind_", "k" * 32)


def _new(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["kind", "new", *arguments], catch_exceptions=False)


def test_files_go_where_the_catalogue_has_them(tmp_path: Path) -> None:
    """The script can be executed; each path is told."""
    said = _new("hello", "--dir", str(tmp_path))
    script, entry = tmp_path / "scripts/helloctl.sh", tmp_path / "catalogue/services/hello.yaml"
    assert (0, f"wrote {script}\nwrote {entry}\n") == (said.exit_code, said.stdout)
    assert (0o755, 0o644) == (script.stat().st_mode & 0o777, entry.stat().st_mode & 0o777)


@pytest.mark.parametrize("name", NAMES)
def test_the_entry_is_one_that_a_catalogue_takes(name: str) -> None:
    """With its package and a host, and the script in the bundle, nothing is wrong with it."""
    files = first_files(name)
    scripts = {
        path.removeprefix("scripts/"): text.encode() for path, text in files.items() if path.startswith("scripts/")
    }
    kinds = make_bundle(merge_scripts(read_scripts(shipped_folder()), scripts)).kinds
    path = next(path for path in files if path.startswith("catalogue/"))
    entry, _, found = read_entry(path, files[path].encode())
    assert ([], True) == (found, isinstance(entry, ServiceEntry))
    assert isinstance(entry, ServiceEntry)
    package = PackageEntry(package=name, version="1.0.0", file="archive.tar.gz", sha256="0" * 64, size=1)
    host = HostEntry(host="one", labels=dict(entry.placement.labels))
    catalogue = Catalogue(services=(entry,), packages=(package,), hosts=(host,))
    assert [] == list(problems(catalogue, kinds))


@pytest.mark.parametrize("name", NAMES)
def test_the_script_has_the_form_of_a_kind(name: str) -> None:
    """No ban broken, the common shape."""
    text = first_files(name)[f"scripts/{name}ctl.sh"]
    assert ((), ()) == (banned(text), shape_faults(f"{name}ctl.sh", text))


def test_the_script_is_formatted(tmp_path: Path) -> None:
    """As shfmt writes it."""
    if shutil.which("shfmt") is None:
        pytest.skip("shfmt is not here")
    file = tmp_path / "helloctl.sh"
    file.write_text(first_files("hello")["scripts/helloctl.sh"])
    command = ["shfmt", "--indent", "2", "--case-indent", "--language-dialect", "bash", "--diff", str(file)]
    assert "" == subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(
    ("name", "text"),
    [("Hello", "no name of a kind"), ("../x", "no name of a kind"), ("redis", "towline ships a kind redis")],
)
def test_a_name_that_cannot_be_is_refused(tmp_path: Path, name: str, text: str) -> None:
    """And nothing is written."""
    said = _new(name, "--dir", str(tmp_path))
    assert (1, True, []) == (said.exit_code, text in said.stderr, list(tmp_path.iterdir()))


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    """Neither of the two files is written where one exists."""
    _new("hello", "--dir", str(tmp_path))
    script, entry = tmp_path / "scripts/helloctl.sh", tmp_path / "catalogue/services/hello.yaml"
    script.unlink()
    entry.write_text("mine")
    said = _new("hello", "--dir", str(tmp_path))
    assert (1, True) == (said.exit_code, "exists already; nothing was written" in said.stderr)
    assert ("mine", False) == (entry.read_text(), script.exists())
