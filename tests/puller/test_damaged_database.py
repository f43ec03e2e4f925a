"""A database that cannot be used: the command says what to do, and that is what helps."""

import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from puller import commands
from puller.cli import main
from puller.paths import Paths
from puller.settings import Settings, store_settings


def test_a_file_that_is_no_database_is_to_be_moved_away(tmp_path: Path) -> None:
    """Rubbish in its place: the file is named, and what moving it away will cost."""
    paths = Paths(tmp_path)
    store_settings(paths, Settings(host="web-1"))
    paths.database.parent.mkdir(parents=True)
    paths.database.write_bytes(b"rubbish" * 1000)
    ended = CliRunner().invoke(main, ["--prefix", str(tmp_path), "status"])
    assert (3, True) == (ended.exit_code, "move state/towline.db" in ended.output), ended.output
    assert paths.database.read_bytes() == b"rubbish" * 1000


def test_nobody_is_told_to_give_up_the_record_for_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk refuses is not damage: the words speak of the disk."""

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(commands, "read_status", full)
    paths = Paths(tmp_path)
    paths.database.parent.mkdir(parents=True)
    sqlite3.connect(paths.database).close()
    ended = CliRunner().invoke(main, ["--prefix", str(tmp_path), "status"])
    assert (3, True, False) == (ended.exit_code, "disk full" in ended.output, "move" in ended.output), ended.output
