"""`adjust`: the settings of an enrolled host, and nothing else, say what a person says."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from puller.cli import main
from puller.paths import Paths
from puller.settings import Settings, SourceSettings, load_settings, store_settings

GIT = SourceSettings(type="git", url="https://git.test/x.git", branch="fleet", username="reader")


def host(folder: Path, source: SourceSettings | None = None) -> Paths:
    """An enrolled host's files."""
    paths = Paths(folder / "prefix")
    paths.keys.mkdir(parents=True)
    (paths.keys / "identity").write_text("key")
    paths.trust.write_text("trust")
    settings = Settings(host="web-1", backend_url="https://towline.test", source=source or SourceSettings())
    store_settings(paths, settings)
    return paths


def adjust(paths: Paths, *words: str) -> Result:
    return CliRunner().invoke(main, ["--prefix", str(paths.prefix), "adjust", *words], catch_exceptions=False)


def test_what_is_said_is_changed_and_the_rest_is_kept(tmp_path: Path) -> None:
    """Another branch, and authorities: the repository and its user are as before, who the host is too."""
    paths = host(tmp_path, GIT)
    authorities = tmp_path / "ca.pem"
    authorities.write_text("x")
    done = adjust(paths, "--git-branch", "other", "--ca-file", str(authorities))
    assert (0, True) == (done.exit_code, "the settings are changed" in done.output), done.output
    settings = load_settings(paths, {})
    assert ("web-1", "https://towline.test", authorities) == (settings.host, settings.backend_url, settings.ca_file)
    assert (GIT.url, "other", "reader") == (settings.source.url, settings.source.branch, settings.source.username)


def test_said_again_nothing_changes(tmp_path: Path) -> None:
    """The file stays as it is."""
    paths = host(tmp_path, GIT)
    before = paths.settings.stat().st_mtime_ns
    done = adjust(paths, "--git-url", GIT.url)
    assert ("the settings are so already\n", before) == (done.output, paths.settings.stat().st_mtime_ns)


@pytest.mark.parametrize(
    ("was", "words", "expected"),
    [
        (GIT, ["--directory", "/mnt"], SourceSettings(type="directory", path=Path("/mnt"))),
        (
            SourceSettings(type="directory", path=Path("/mnt")),
            ["--git-url", "/x.git"],
            SourceSettings(type="git", url="/x.git"),
        ),
        (GIT, ["--backend"], SourceSettings()),
    ],
    ids=["folder", "git", "backend"],
)
def test_another_kind_of_source_keeps_nothing_of_the_former(
    tmp_path: Path, was: SourceSettings, words: list[str], expected: SourceSettings
) -> None:
    """A branch means nothing to a folder, a user of git nothing to the backend."""
    paths = host(tmp_path, was)
    assert 0 == adjust(paths, *words).exit_code
    assert expected == load_settings(paths, {}).source


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--git-branch", "x"], "from which repository: --git-url"),
        (["--backend", "--git-url", "/x.git"], "not both"),
        (["--directory", "/mnt", "--git-url", "/x.git"], "not both"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, words: list[str], told: str) -> None:
    """With words, and the settings stay as they are."""
    paths = host(tmp_path)
    before = paths.settings.read_bytes()
    done = adjust(paths, *words)
    assert (1, True, before) == (done.exit_code, told in done.output, paths.settings.read_bytes()), done.output


def test_a_host_that_is_not_enrolled_says_so(tmp_path: Path) -> None:
    """There is nothing to adjust."""
    done = adjust(Paths(tmp_path / "prefix"), "--backend")
    assert (1, True) == (done.exit_code, "is not enrolled" in done.output)
