"""Room, inodes, and file systems that cannot be written."""

import os
from collections.abc import Iterator
from pathlib import Path

from puller.artifacts import RESERVE_BYTES
from puller.doctor.case import Case
from puller.doctor.finding import Finding, fault, ok, warning

LITTLE_BYTES = 4 * RESERVE_BYTES
LITTLE_INODES = 1000


def disk(case: Case) -> Iterator[Finding]:
    """Each file system that holds something below the prefix."""
    paths = case.paths
    places = [paths.prefix, paths.state, paths.artifacts, paths.steps, paths.agent, paths.prefix / "services"]
    seen: set[int] = set()
    for place in places:
        if not place.exists():
            continue
        device = place.stat().st_dev
        if device not in seen:
            seen.add(device)
            yield _file_system(place)
    if not seen:
        yield fault(f"{paths.prefix} is not there", "is this the right --prefix?")


def _file_system(place: Path) -> Finding:
    stat = os.statvfs(place)
    free, inodes = stat.f_bavail * stat.f_frsize, stat.f_favail
    if stat.f_flag & os.ST_RDONLY:
        return fault(f"the file system of {place} is read-only", "look at dmesg; repair it, then mount it writable")
    if stat.f_flag & os.ST_NOEXEC:
        return fault(
            f"the file system of {place} is mounted noexec: programs there do not run", "mount it without noexec"
        )
    told = f"{place}: {free >> 20} MiB free ({_share(stat)} % in use)"
    if stat.f_files and not inodes:
        return fault(f"{told}, but no inode is left", "remove small files; find them with du --inodes")
    if free < RESERVE_BYTES:
        return fault(f"{told}: nothing is fetched below {RESERVE_BYTES >> 20} MiB", "make room")
    if free < LITTLE_BYTES:
        return warning(told, "make room before nothing is fetched any more")
    if stat.f_files and inodes < LITTLE_INODES:
        return warning(f"{told}, and {inodes} inodes", "remove small files; find them with du --inodes")
    return ok(told)


def _share(stat: os.statvfs_result) -> int:
    return round(100 * (1 - stat.f_bavail / stat.f_blocks)) if stat.f_blocks else 100
