"""Settings come from a file and the environment, strictly."""

from pathlib import Path

import pytest

from api.errors import Misconfigured
from api.settings_file import load_settings


def _file(folder: Path, text: str) -> Path:
    file = folder / "towline.toml"
    file.write_text(text)
    return file


def test_nothing_set_gives_defaults_on_sqlite_and_loopback() -> None:
    """Without a file and environment the backend listens on loopback and keeps SQLite in its state folder."""
    settings = load_settings(None, {"TOWLINE_STATE_FOLDER": "/scratch"})
    assert settings.server.url == "http://127.0.0.1:8470"
    assert settings.database_url == "sqlite:////scratch/towline.db"


def test_the_environment_outweighs_the_file(tmp_path: Path) -> None:
    """A key set in both has the value of the environment, converted to its type."""
    file = _file(tmp_path, "[server]\nport = 1\nmetrics_from_loopback = false\n")
    settings = load_settings(file, {"TOWLINE_SERVER_PORT": "2", "TOWLINE_SERVER_METRICS_FROM_LOOPBACK": "true"})
    assert (settings.server.port, settings.server.metrics_from_loopback) == (2, True)


def test_relative_paths_are_meant_from_the_file(tmp_path: Path) -> None:
    """A file can be moved together with what it names."""
    settings = load_settings(_file(tmp_path, '[catalogue]\nfolder = "tree"\n'), {})
    assert settings.catalogue.folder == tmp_path / "tree"


def test_nested_tables_come_from_the_environment_too() -> None:
    """`TOWLINE_CATALOGUE_GIT_URL` makes a `[catalogue.git]`."""
    settings = load_settings(None, {"TOWLINE_CATALOGUE_GIT_URL": "/srv/repo.git"})
    assert settings.catalogue.git is not None
    assert settings.catalogue.git.url == "/srv/repo.git"


def test_all_problems_are_told_at_once_with_file_line_and_key(tmp_path: Path) -> None:
    """Unknown keys, wrong types, what is missing and what does not go together: one line each."""
    text = """[server]
port = "80"
colour = "red"

[catalogue.git]
branch = "main"
[nonsense]
"""
    file = _file(tmp_path, text)
    with pytest.raises(Misconfigured) as refusal:
        load_settings(file, {"TOWLINE_SWEEP_REPORT_DAYS": "many", "TOWLINE_SERVER_WEIGHT": "1"})
    none_such = "there is no such setting; known here:"
    known = "base_url, host, metrics_from_loopback, port, session_hours, tls_cert_file, tls_key_file"
    assert sorted(str(refusal.value).splitlines()) == sorted(
        [
            "environment: TOWLINE_SERVER_WEIGHT: there is no such setting",
            "environment: TOWLINE_SWEEP_REPORT_DAYS: Expected `int`, got `str`",
            f"{file}:7: nonsense: {none_such} catalogue, database, hosts, publish, server, state, sweep",
            f"{file}:2: server.port: Expected `int`, got `str`",
            f"{file}:3: server.colour: {none_such} {known}",
            f"{file}:5: catalogue.git.url: must be set",
        ]
    )


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    """A folder and a git repository for one catalogue, and half of a TLS key pair."""
    text = '[catalogue]\nfolder = "a"\n[catalogue.git]\nurl = "b"\n[server]\ntls_cert_file = "x.pem"\n'
    with pytest.raises(Misconfigured) as refusal:
        load_settings(_file(tmp_path, text), {})
    assert [line.split(": ", 1)[1] for line in str(refusal.value).splitlines()] == [
        "catalogue.folder: set either a folder or [catalogue.git], not both",
        "server.tls_cert_file: tls_cert_file and tls_key_file go together",
    ]


@pytest.mark.parametrize("text", ["[server", "[server]\nport = \n"])
def test_a_file_that_is_no_toml_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    """The TOML reader's line is passed on."""
    with pytest.raises(Misconfigured, match=r"towline\.toml: is not TOML: .*(line|end of document)"):
        load_settings(_file(tmp_path, text), {})


def test_a_file_that_is_named_and_missing_is_refused(tmp_path: Path) -> None:
    """A typing error in the file's name does not start a backend with defaults."""
    with pytest.raises(Misconfigured, match="cannot be read"):
        load_settings(tmp_path / "nowhere.toml", {})
