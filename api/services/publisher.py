"""A publisher as the settings describe it."""

import os
import socket
from collections.abc import Callable
from datetime import datetime, timedelta

from api.git_access import GitAccess
from api.publish.bundle import Scripts
from api.publish.directory import DirectoryTarget
from api.publish.git import GitTarget
from api.publish.target import Target
from api.services.publishing import Publisher
from api.settings import GitSettings, Settings
from desired_state.note import SigningKey


def make_publisher(settings: Settings, key: SigningKey, shipped: Scripts, now: Callable[[], datetime]) -> Publisher:
    """Who publishes in this process, where to, and on what terms."""
    return Publisher(
        holder=f"{socket.gethostname()}:{os.getpid()}",
        keys=(key,),
        shipped=shipped,
        artifact_bases=settings.publish.artifact_bases or (f"{settings.server.url}/v1/artifacts",),
        validity=timedelta(days=settings.publish.validity_days),
        targets=targets(settings),
        now=now,
    )


def targets(settings: Settings) -> tuple[Target, ...]:
    """The places beside the database where documents are put."""
    found: list[Target] = []
    if settings.publish.directory is not None:
        found.append(DirectoryTarget(settings.publish.directory))
    git = settings.publish.git
    if git is not None:
        found.append(GitTarget(git_access(git), git.branch, settings.state_folder / "git"))
    return tuple(found)


def git_access(git: GitSettings) -> GitAccess:
    """How to get to the repository of these settings."""
    return GitAccess(
        url=git.url,
        username=git.username,
        password_file=git.password_file,
        ssh_key_file=git.ssh_key_file,
        known_hosts_file=git.known_hosts_file,
        ca_file=git.ca_file,
    )
