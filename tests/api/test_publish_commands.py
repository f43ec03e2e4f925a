"""The commands publish, plan, sweep and package, as somebody with a shell uses them."""

import hashlib
import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from api.cli import main
from api.publish.target import document_path
from desired_state.catalogue import PackageEntry


class Shell:
    """A backend's machine: a settings file, a catalogue in a folder, and the command `towline`."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "tree"
        self.www = folder / "www"
        self.state = folder / "state"
        self.config = folder / "towline.toml"
        self.config.write_text(
            f'[state]\nfolder = "{self.state}"\n'
            f'[catalogue]\nfolder = "{self.tree}"\n'
            f'[publish]\ndirectory = "{self.www}"\n'
        )
        self.write("hosts/alpha.yaml", "host: alpha\nlabels:\n  role: db\n")

    def write(self, path: str, text: str) -> None:
        """A file of the catalogue."""
        file = self.tree / "catalogue" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def run(self, *words: str) -> Result:
        """`towline …`."""
        return CliRunner().invoke(main, ["--config", str(self.config), *words], catch_exceptions=False)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A machine."""
    return Shell(tmp_path)


REDIS = """service: cache
kind: redis
version: "7.2"
packages:
  server: valkey-7.2
placement:
  labels:
    role: db
"""


def with_package(shell: Shell, tmp_path: Path) -> Result:
    """A package in the store, and its entry in the catalogue."""
    file = tmp_path / "valkey-7.2.tar.gz"
    file.write_bytes(b"an archive")
    named = ("--name", "valkey", "--version", "7.2")
    return shell.run("package", "add", str(file), *named, "--unchecked", "--write", str(shell.tree))


def test_what_is_in_the_folder_is_published(shell: Shell) -> None:
    """import, publish: the document lies in the folder of the settings."""
    shell.run("import")
    done = shell.run("publish", "--once")
    assert (done.exit_code, done.output.splitlines()[0]) == (0, "1 issued, 0 unchanged")
    assert (shell.www / document_path("alpha")).is_file()


def test_publishing_again_does_nothing(shell: Shell) -> None:
    """The same bytes, and it is said."""
    shell.run("import")
    shell.run("publish")
    before = (shell.www / document_path("alpha")).stat()
    done = shell.run("publish")
    assert (done.exit_code, done.output.splitlines()[0]) == (0, "0 issued, 0 unchanged")
    assert (shell.www / document_path("alpha")).stat().st_ino == before.st_ino


def test_nothing_to_publish_is_said(shell: Shell) -> None:
    """Before the first import: what is waited for, exit code 75."""
    done = shell.run("publish")
    assert (done.exit_code, "there is no catalogue yet" in done.output) == (75, True)


def test_a_package_is_kept_and_described(shell: Shell, tmp_path: Path) -> None:
    """The entry has digest and size, the store has the bytes, the catalogue's folder has the file."""
    assert with_package(shell, tmp_path).exit_code == 0
    digest = hashlib.sha256(b"an archive").hexdigest()
    assert (shell.state / "artifacts/sha256" / digest).read_bytes() == b"an archive"
    written = (shell.tree / "catalogue/packages/valkey-7.2.yaml").read_bytes()
    assert msgspec.yaml.decode(written, type=PackageEntry) == PackageEntry(
        package="valkey", version="7.2", file="valkey-7.2.tar.gz", sha256=digest, size=10
    )


def test_a_package_with_a_bad_name_is_refused(shell: Shell, tmp_path: Path) -> None:
    """Nothing is kept."""
    file = tmp_path / "x.tar"
    file.write_bytes(b"x")
    done = shell.run("package", "add", str(file), "--name", "../Evil", "--version", "1")
    assert (done.exit_code, "is not a package name" in done.output) == (1, True)
    assert not (shell.state / "artifacts").exists()


def test_a_plan_shows_what_a_change_would_do(shell: Shell, tmp_path: Path) -> None:
    """Exit code 2, the steps of the host, and nothing is changed by it."""
    with_package(shell, tmp_path)
    shell.run("import")
    shell.run("publish")
    shell.write("services/cache.yaml", REDIS)
    done = shell.run("plan", str(shell.tree))
    assert done.exit_code == 2, done.output
    assert "alpha  revision 1 -> 2: 3 steps" in done.output
    assert [line.split()[1:3] for line in done.output.splitlines() if line.startswith("   ")] == [
        ["cache", "install"],
        ["cache", "configure"],
        ["cache", "start"],
    ]
    assert shell.run("publish").output.splitlines()[0] == "0 issued, 0 unchanged"


def test_a_plan_of_what_is_published_is_empty(shell: Shell) -> None:
    """Exit code 0."""
    shell.run("import")
    shell.run("publish")
    done = shell.run("plan", str(shell.tree))
    assert (done.exit_code, done.output) == (0, "Nothing changes; 1 host stays as declared.\n")


def test_a_plan_of_a_broken_tree_tells_every_problem(shell: Shell) -> None:
    """Exit code 1; file and line of each."""
    shell.write("services/cache.yaml", REDIS.replace("valkey-7.2", "gone") + "depends_on:\n- nowhere\n")
    shell.write("hosts/beta.yaml", "host: Beta\n")
    done = shell.run("plan", str(shell.tree), "--format", "json")
    places = {(one["file"], one["line"]) for one in json.loads(done.output)["problems"]}
    assert done.exit_code == 1
    assert places == {
        ("catalogue/hosts/beta.yaml", 1),
        ("catalogue/services/cache.yaml", 5),
        ("catalogue/services/cache.yaml", 10),
    }


def test_a_sweep_says_what_went(shell: Shell) -> None:
    """Nothing is old yet."""
    done = shell.run("sweep")
    assert (done.exit_code, done.output.startswith("0 reports, 0 documents")) == (0, True)
