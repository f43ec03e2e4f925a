"""The puller's settings: file and environment, strictly, every problem at once."""

from pathlib import Path

import pytest

from puller.paths import Paths
from puller.settings import Misconfigured, Settings, SourceSettings, load_settings, store_settings

FULL = Settings(
    host="web-1.example",
    backend_url="https://towline.example",
    ca_file=Path("/etc/ca.pem"),
    metrics_dir=Path("/var/lib/node_exporter"),
    artifact_dirs=(Path("/mnt/a b"), Path("/mnt/ünï")),
    source=SourceSettings(
        type="git",
        url="ssh://git@git.example/fleet.git",
        branch="published",
        username='o"dd\\name',
        ssh_key_file=Path("/etc/key"),
        known_hosts_file=Path("/etc/known_hosts"),
    ),
)


def wrong(paths: Paths, **environ: str) -> list[str]:
    with pytest.raises(Misconfigured) as error:
        load_settings(paths, environ)
    return str(error.value).splitlines()


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    """Settings come back from their file as they were, quotes and all."""
    store_settings(Paths(tmp_path), FULL)
    assert FULL == load_settings(Paths(tmp_path), {})


def test_the_environment_outweighs_the_file(tmp_path: Path) -> None:
    """A variable stands above its key, also one of the source's."""
    store_settings(Paths(tmp_path), FULL)
    environ = {"TOWLINE_PULLER_SOURCE_BRANCH": "other", "TOWLINE_PULLER_ARTIFACT_DIRS": "/one:/two"}
    read = load_settings(Paths(tmp_path), environ)
    assert ("other", (Path("/one"), Path("/two"))) == (read.source.branch, read.artifact_dirs)


def test_without_a_file_the_environment_is_enough(tmp_path: Path) -> None:
    """A host that is described by variables alone needs no file."""
    environ = {"TOWLINE_PULLER_HOST": "web-1", "TOWLINE_PULLER_BACKEND_URL": "https://towline.example"}
    assert "web-1" == load_settings(Paths(tmp_path), environ).host


def test_every_problem_is_told_with_its_place(tmp_path: Path) -> None:
    """A wrong variable, an unknown one, a wrong type and an unknown key are four lines."""
    file = tmp_path / "etc" / "puller.toml"
    file.parent.mkdir()
    file.write_text('host = "web-1"\nbackend_url = "https://towline.example"\nmetrics_dir = "relative"\ncolour = 1\n')
    told = wrong(Paths(tmp_path), TOWLINE_PULLER_SOURCE_TYPE="ftp", TOWLINE_PULLER_NONSENSE="1")
    expected = [
        "environment: TOWLINE_PULLER_NONSENSE: ",
        f"{file}: colour: ",
        f"{file}: metrics_dir: must be an absolute path",
        "environment: TOWLINE_PULLER_SOURCE_TYPE: ",
    ]
    assert len(expected) == len(told)
    assert [] == [start for start in expected if not any(line.startswith(start) for line in told)], told


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ('type = "git"', "source.url: a git source needs"),
        ('type = "directory"', "source.path: a directory source needs"),
        ('type = "http"', "backend_url: an http source is the backend"),
    ],
)
def test_a_source_needs_its_place(tmp_path: Path, source: str, problem: str) -> None:
    """Each type of source says what it lacks."""
    file = tmp_path / "etc" / "puller.toml"
    file.parent.mkdir()
    file.write_text(f'host = "web-1"\n[source]\n{source}\n')
    (told,) = wrong(Paths(tmp_path))
    assert problem in told


def test_rubbish_is_told_as_such(tmp_path: Path) -> None:
    """A file that is no TOML is named."""
    file = tmp_path / "etc" / "puller.toml"
    file.parent.mkdir()
    file.write_text("host = ")
    (told,) = wrong(Paths(tmp_path))
    assert told.startswith(f"{file}: is not TOML")
