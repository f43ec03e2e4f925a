"""The bundle for a ticket: what somebody who cannot log in needs to see, and no secret.

Everything in it goes through one redactor. Keys, notes of secrets and step logs are not opened at all.
"""

import io
import os
import platform
import sqlite3
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from puller.doctor.examination import Examination
from puller.doctor.redaction import redactor
from puller.doctor.units import HEALING, SERVICE, TIMER, installed_mode, run
from puller.durable_file import write_file
from puller.paths import Paths
from puller.settings import Misconfigured, Settings, load_settings
from puller.status import read_status
from puller.store import read_store
from puller.version import agent_version

JOURNAL_LINES = 2000
MAX_TEXT = 4 << 20
MAX_STEPS = 200


def write_bundle(file: Path, found: Examination, paths: Paths, environ: Mapping[str, str]) -> None:
    """Writes it, readable by its owner alone. What cannot be read is told in its place. Raises OSError."""
    clean = redactor(paths, _settings(paths, environ), environ)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in _parts(found, paths):
            data = clean(text).encode()
            member = tarfile.TarInfo(f"towline-doctor/{name}")
            member.size, member.mode = len(data), 0o600
            tar.addfile(member, io.BytesIO(data))
    write_file(file, buffer.getvalue(), mode=0o600)


def _parts(found: Examination, paths: Paths) -> Iterator[tuple[str, str]]:
    parts: tuple[tuple[str, Callable[[], str]], ...] = (
        ("doctor.json", lambda: _json(found)),
        ("status.json", lambda: _json(read_status(paths))),
        ("puller.toml", lambda: _text(paths.settings)),
        ("proxy.env", lambda: _text(paths.proxies)),
        ("log.txt", lambda: _log(paths)),
        ("database.json", lambda: _json(_database(paths))),
        ("steps.json", lambda: _json(_steps(paths))),
        ("versions.json", lambda: _json(_versions())),
        ("units.txt", lambda: _units(paths)),
        ("agent.json", lambda: _json(_agent(paths))),
    )
    for name, make in parts:
        try:
            yield name, make()
        except Exception as error:  # noqa: BLE001 - what is broken is what the ticket is about: it is told in its place
            yield name, f"{type(error).__name__}: {error}\n"


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode() + "\n"


def _text(file: Path) -> str:
    with file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - MAX_TEXT))
        return opened.read(MAX_TEXT).decode("utf-8", "replace")


def _log(paths: Paths) -> str:
    """The journal of the unit, or the log where no systemd keeps one."""
    if paths.log.exists():
        return "\n".join(_text(paths.log).splitlines()[-JOURNAL_LINES:]) + "\n"
    of_unit = f"--user-unit={SERVICE}" if installed_mode(paths) == "user" else f"--unit={SERVICE}"
    return run(["journalctl", of_unit, f"--lines={JOURNAL_LINES}", "--no-pager", "--output=short-iso"])


def _units(paths: Paths) -> str:
    manager = ["--user"] if installed_mode(paths) == "user" else []
    return run(["systemctl", *manager, "cat", "--no-pager", SERVICE, HEALING, TIMER])


def _database(paths: Paths) -> dict[str, object]:
    """Its schema, and how many rows each table has."""
    db = read_store(paths.database)
    try:
        tables = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names}  # noqa: S608
        return {
            "user_version": db.execute("PRAGMA user_version").fetchone()[0],
            "page_count": db.execute("PRAGMA page_count").fetchone()[0],
            "rows": rows,
            "schema": {name: " ".join(sql.split()) for name, sql in tables},
        }
    finally:
        db.close()


def _steps(paths: Paths) -> list[dict[str, object]]:
    """The last steps, without their inputs and their logs."""
    columns = ("n", "run", "service", "verb", "attempt", "state", "started_us", "reported")
    db = read_store(paths.database)
    try:
        rows = db.execute(f"SELECT {', '.join(columns)} FROM step ORDER BY n DESC LIMIT ?", (MAX_STEPS,))  # noqa: S608
        return [dict(zip(columns, row, strict=True)) for row in rows]
    finally:
        db.close()


def _versions() -> dict[str, str]:
    return {
        "towline-puller": agent_version(),
        "python": sys.version,
        "sqlite": sqlite3.sqlite_version,
        "kernel": platform.platform(),
        "os": _text(Path("/etc/os-release")) if Path("/etc/os-release").exists() else "",
        "uid": str(os.getuid()),
    }


def _agent(paths: Paths) -> dict[str, str]:
    """What agentctl.sh knows of the releases."""
    files = [paths.agent / name for name in ("installed", "trial", "stopped")]
    files += sorted((paths.agent / "refused").glob("*"))
    told = {str(file.relative_to(paths.agent)): _text(file) for file in files if file.is_file()}
    links = {name: paths.agent / name for name in ("current", "good")}
    return told | {name: str(link.readlink()) for name, link in links.items() if link.is_symlink()}


def _settings(paths: Paths, environ: Mapping[str, str]) -> Settings | None:
    try:
        return load_settings(paths, environ)
    except (Misconfigured, OSError):
        return None
