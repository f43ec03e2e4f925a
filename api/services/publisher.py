"""A publisher as the settings describe it."""

import os
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from api.publish.bundle import Scripts
from api.publish.directory import DirectoryTarget
from api.publish.target import Target
from api.services.publishing import Publisher
from api.settings import GitSettings, Settings
from api.vault import Vault
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
        polls=settings.hosts.stale_after_polls,
        vault=Vault(settings.keys_folder),
        now=now,
    )


def targets(settings: Settings) -> tuple[Target, ...]:
    """The places beside the database where documents are put."""
    found: list[Target] = []
    if settings.publish.directory is not None:
        found.append(DirectoryTarget(settings.publish.directory))
    git = settings.publish.git
    if git is not None:
        found.append(_git_target(git, settings.state_folder / "git"))
    return tuple(found)


def _git_target(git: GitSettings, scratch: Path) -> Target:
    from api.git_access import access_of  # noqa: PLC0415 - libgit2 is loaded where git is used
    from api.publish.git import GitTarget  # noqa: PLC0415

    return GitTarget(access_of(git), git.branch, scratch)
