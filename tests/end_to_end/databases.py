"""What stands in the SQLite files of backend and hosts, read beside whoever writes them."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.end_to_end.demo.backend import Backend
from tests.end_to_end.demo.machine import Machine

Row = tuple[Any, ...]


def ask(file: Path, question: str, *values: object) -> list[Row]:
    """The rows of a SELECT; none where the file or the table is not there yet."""
    if not file.exists():
        return []
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)) as db:
        try:
            return db.execute(question, values).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            return []


def change(file: Path, statement: str, *values: object) -> None:
    """Changes rows: what time would have changed, and a test will not wait for."""
    with closing(sqlite3.connect(file, timeout=30)) as db, db:
        db.execute(statement, values)


def of_host(machine: Machine) -> Path:
    """The puller's database."""
    return machine.prefix / "state" / "towline.db"


def of_backend(backend: Backend) -> Path:
    """The backend's database."""
    return backend.state / "towline.db"


def journal(machine: Machine) -> list[Row]:
    """All steps of a host, as (service, verb, state), in the order they were started."""
    return ask(of_host(machine), "SELECT service, verb, state FROM step ORDER BY n")


def record(machine: Machine) -> Mapping[str, Any]:
    """What a host applied last, by service."""
    return {name: json.loads(body) for name, body in ask(of_host(machine), "SELECT service, body FROM record")}


def status(machine: Machine) -> Mapping[str, Any]:
    """What a host reported of itself last."""
    rows = ask(of_host(machine), "SELECT body FROM status")
    return dict(json.loads(rows[0][0])) if rows else {}


def produced(machine: Machine) -> int:
    """How many reports a host has made: their numbers are 1, 2, 3 …"""
    return next((seq for (seq,) in ask(of_host(machine), "SELECT seq FROM status")), 0)


def waiting(machine: Machine) -> list[int]:
    """The numbers of the reports that the backend has not confirmed."""
    return [seq for (seq,) in ask(of_host(machine), "SELECT seq FROM outbox ORDER BY seq")]


def arrived(backend: Backend, host: str) -> list[int]:
    """The numbers of a host's reports, in the order in which they were stored at the backend."""
    question = "SELECT seq FROM report WHERE host = ? ORDER BY received_us, rowid"
    return [seq for (seq,) in ask(of_backend(backend), question, host)]
