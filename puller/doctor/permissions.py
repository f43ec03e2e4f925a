"""Owners and modes below the prefix: who may change what the agent runs or believes."""

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from puller.doctor.case import Case
from puller.doctor.finding import Finding, fault, ok, skipped

MAX_TOLD = 6


def permissions(case: Case) -> Iterator[Finding]:
    """What others may write, or read though it is secret, and what is of another owner."""
    paths = case.paths
    if not paths.prefix.exists():
        yield skipped(f"{paths.prefix} is not there")
        return
    owners = {0, (paths.state if paths.state.exists() else paths.prefix).stat().st_uid}
    found = [finding for place in _places(case) for finding in _judge(place, owners, is_secret=_is_secret(case, place))]
    yield from found[:MAX_TOLD]
    if len(found) > MAX_TOLD:
        yield fault(f"and {len(found) - MAX_TOLD} more", "put these right first")
    if not found:
        yield ok(
            f"nobody but {', '.join(sorted(_name(uid) for uid in owners))} may change what is below {paths.prefix}"
        )


def _places(case: Case) -> Iterator[Path]:
    paths = case.paths
    folders = [paths.prefix, paths.settings.parent, paths.state, paths.keys, paths.socket.parent, paths.agent]
    folders += [paths.agent / "releases", paths.artifacts, paths.bundles, paths.incoming, paths.steps]
    yield from (folder for folder in folders if folder.is_dir())
    for folder in (paths.settings.parent, paths.state, paths.agent):
        yield from (file for file in _listed(folder) if file.is_file() and not file.is_symlink())
    for release in _listed(paths.agent / "releases"):
        yield from (place for place in (release, release / "bin", release / "ctl") if place.is_dir())


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _is_secret(case: Case, place: Path) -> bool:
    return place in (case.paths.database, case.paths.proxies, case.paths.keys)


def _judge(place: Path, owners: set[int], *, is_secret: bool) -> Iterator[Finding]:
    seen = place.lstat()
    mode = stat.S_IMODE(seen.st_mode)
    if seen.st_uid not in owners:
        yield fault(f"{place} is of {_name(seen.st_uid)}", f"chown it to {_name(max(owners))}")
    if mode & 0o002 or (mode & 0o020 and seen.st_gid not in (0, os.getgid())):
        yield fault(f"{place} may be changed by others (mode {mode:04o})", f"chmod go-w {place}")
    if is_secret and mode & 0o077:
        yield fault(f"{place} may be read by others (mode {mode:04o})", f"chmod go-rwx {place}")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
