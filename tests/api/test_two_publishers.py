"""Two replicas publish at once, and one of them is killed in the middle, again and again."""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pygit2
from pygit2.enums import SortMode
from sqlalchemy import select

from api.database import snapshot
from api.errors import TryLater
from api.git_access import GitAccess
from api.models import catalogue_head, publication
from api.publish.git import GitTarget
from api.publish.target import document_path
from api.services.publishing import publish
from desired_state.document import decode
from desired_state.note import open_note
from tests.api.fleet_world import KEY, World, hosts, in_a_world, toy
from tests.api.test_targets import files_on_branch

ROUNDS = 12
HOSTS = 60


@contextmanager
def replica(url: str, tmp_path: Path, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that publishes; gone at the end, whatever happens."""
    command = [sys.executable, "-m", "tests.api.publisher_process", url]
    process = subprocess.Popen(
        [*command, str(tmp_path / "fleet.git"), str(tmp_path / name), name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


async def until_published(world: World, deadline_s: float = 60) -> None:
    """Wait until some replica has published the newest catalogue."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        async with snapshot(world.engine) as connection:
            head = await connection.scalar(select(catalogue_head.c.change_id))
            done = await connection.scalar(select(publication.c.change_id).order_by(publication.c.id.desc()).limit(1))
        if head == done:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("nobody published the newest catalogue in time")


async def settle(world: World, target: GitTarget) -> None:
    """What a replica does after the others are gone: as soon as the lease has run out, everything is delivered."""
    publisher = world.publisher(target, holder="last", now=lambda: datetime.now(UTC))
    for _ in range(600):
        try:
            done = await publish(world.engine, publisher, verify=True)
        except TryLater:
            await asyncio.sleep(0.05)
            continue
        assert done.complete, done
        return
    raise AssertionError("the lease never ran out")


def revisions_in_history(folder: Path) -> dict[str, list[int]]:
    """The revisions of each host in the order of the commits, each change once."""
    repository = pygit2.Repository(str(folder))
    head = repository.references["refs/heads/published"].target
    seen: dict[str, list[int]] = {}
    for commit in repository.walk(head, SortMode.TOPOLOGICAL | SortMode.REVERSE):
        # trust files came before any document
        folders = commit.tree["hosts"] if "hosts" in commit.tree else []  # noqa: SIM401 - a tree has no get()
        for below in folders:
            for blob in below:
                revision = decode(open_note(blob.data, [KEY.verifier], 1)).revision
                history = seen.setdefault(blob.name, [])
                if not history or history[-1] != revision:
                    history.append(revision)
    return seen


def test_no_revision_is_skipped_or_doubled_and_git_equals_the_database(database_url: str, tmp_path: Path) -> None:
    """A dozen changes with kill -9 at random moments: revisions count up by one, git never goes back, all is equal."""
    pygit2.init_repository(str(tmp_path / "fleet.git"), bare=True)
    dice = random.Random(20260131)

    async def work(world: World) -> None:
        world.now = datetime.now(UTC)
        with replica(database_url, tmp_path, "steady"):
            for round_ in range(ROUNDS):
                with replica(database_url, tmp_path, f"mortal{round_}") as mortal:
                    await world.declare([*hosts(HOSTS), toy(str(round_))], f"round {round_}")
                    await asyncio.sleep(dice.random() * 0.25)
                    mortal.kill()
                    await until_published(world)
        await settle(world, GitTarget(GitAccess(url=str(tmp_path / "fleet.git")), "published", tmp_path / "last"))

        revisions = await world.revisions()
        assert revisions == {host: list(range(1, len(found) + 1)) for host, found in revisions.items()}
        current = {host: document.revision for host, document in (await world.documents()).items()}
        assert current == {host: found[-1] for host, found in revisions.items()}
        assert {host: len(found) for host, found in revisions.items() if int(host[1:]) % 2} == {
            f"h{n:05}": 1 for n in range(1, HOSTS, 2)
        }
        in_git = {path: d for path, d in files_on_branch(tmp_path / "fleet.git").items() if path.startswith("hosts/")}
        assert in_git == {document_path(host): note for host, note in (await world.notes()).items()}
        history = revisions_in_history(tmp_path / "fleet.git")
        assert history == {host: sorted(set(found)) for host, found in history.items()}

    in_a_world(database_url, work)
