"""Publishing: only what changed, one revision at a time, and every target ends as the database says."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pygit2
import pytest
from sqlalchemy import func, insert, select

from api.database import snapshot, transaction
from api.errors import TryLater
from api.git_access import GitAccess
from api.models import catalogue_script, change_feed, host_override, publication
from api.moments import micros
from api.publish.directory import DirectoryTarget
from api.publish.git import GitTarget
from api.publish.target import TargetUnavailable, document_path
from api.repositories import leases
from api.services.delivering import Delivered, deliver
from api.services.lease import LeaseLost, hold
from api.services.publishing import Publication, _issue, publish
from tests.api.fleet_world import World, hosts, in_a_world, toy
from tests.api.test_targets import files_on_branch


def git_target(tmp_path: Path) -> GitTarget:
    """The branch `published` of a bare repository."""
    pygit2.init_repository(str(tmp_path / "fleet.git"), bare=True)
    return GitTarget(GitAccess(url=str(tmp_path / "fleet.git")), "published", tmp_path / "scratch")


async def documents_on_branch(world: World, tmp_path: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """What the database says, and what stands in git."""
    in_git = {p: data for p, data in files_on_branch(tmp_path / "fleet.git").items() if p.startswith("hosts/")}
    return {document_path(host): note for host, note in (await world.notes()).items()}, in_git


def test_every_host_gets_a_signed_document(database_url: str) -> None:
    """A host with no service too: it must know that nothing is wanted."""

    async def work(world: World) -> dict[str, list[str]]:
        await world.declare([*hosts(3), toy()])
        await publish(world.engine, world.publisher())
        found = await world.documents()
        return {host: [service.name for service in doc.services] for host, doc in found.items()}

    assert in_a_world(database_url, work) == {"h00000": ["orders"], "h00001": [], "h00002": ["orders"]}


def test_only_hosts_that_are_concerned_get_a_new_revision(database_url: str) -> None:
    """A change of a service on even hosts leaves the odd ones as they are."""

    async def work(world: World) -> tuple[int, int, dict[str, list[int]]]:
        await world.declare([*hosts(3), toy()])
        await publish(world.engine, world.publisher())
        await world.declare([*hosts(3), toy("2")])
        done = await publish(world.engine, world.publisher())
        return done.documents, done.unchanged, await world.revisions()

    expected = (2, 1, {"h00000": [1, 2], "h00001": [1], "h00002": [1, 2]})
    assert in_a_world(database_url, work) == expected


def test_nothing_new_writes_nothing(database_url: str) -> None:
    """Publishing again what is published leaves no row behind, and asks no target."""

    class Untouched:
        """A target that may not be opened once everything stands in it."""

        name = "untouched"

        def open(self) -> Any:
            raise AssertionError("opened")

    async def rows(world: World) -> list[int | None]:
        async with snapshot(world.engine) as connection:
            return [
                await connection.scalar(select(func.count()).select_from(table)) for table in (publication, change_feed)
            ]

    async def work(world: World) -> bool:
        await world.declare([*hosts(2), toy()])
        await publish(world.engine, world.publisher())
        before = await rows(world)
        again = await publish(world.engine, world.publisher())
        return before == await rows(world) and again.complete and again.documents == 0

    assert in_a_world(database_url, work) is True


def test_a_document_is_issued_anew_at_half_of_its_validity(database_url: str) -> None:
    """Nothing changed, but after 45 of 90 days hosts get the same content under the next revision."""

    async def work(world: World) -> list[dict[str, list[int]]]:
        await world.declare([*hosts(1)])
        await publish(world.engine, world.publisher())
        seen = []
        for days in (44, 46):
            world.now += timedelta(days=days)
            await publish(world.engine, world.publisher())
            seen.append(await world.revisions())
            world.now -= timedelta(days=days)
        return seen

    assert in_a_world(database_url, work) == [{"h00000": [1]}, {"h00000": [1, 2]}]


def test_a_new_epoch_is_a_new_document_for_all(database_url: str) -> None:
    """After a rotation of keys every host needs a document of the new era."""

    async def work(world: World) -> list[tuple[int, int]]:
        await world.declare([*hosts(1)])
        await publish(world.engine, world.publisher())
        await world.trust(2)
        await publish(world.engine, world.publisher())
        return [(doc.epoch, doc.revision) for doc in (await world.documents()).values()]

    assert in_a_world(database_url, work) == [(2, 2)]


def test_a_host_that_left_the_catalogue_keeps_its_document(database_url: str) -> None:
    """Absence is never an order to delete: it is told, each time, and what is published stays."""

    async def work(world: World) -> tuple[object, object, list[str]]:
        await world.declare(hosts(2))
        await publish(world.engine, world.publisher())
        await world.declare(hosts(1))
        first = await publish(world.engine, world.publisher())
        second = await publish(world.engine, world.publisher())
        return first.orphans, second.orphans, sorted(await world.notes())

    assert in_a_world(database_url, work) == (("h00001",), ("h00001",), ["h00000", "h00001"])


def test_a_host_suspended_on_the_page_is_told_so_until_it_ends(database_url: str) -> None:
    """The word on the page outweighs the catalogue, with its reason; when it ends the catalogue holds again."""

    async def work(world: World) -> list[tuple[str, str]]:
        await world.declare(hosts(1))
        async with transaction(world.engine) as connection:
            until = micros(world.now + timedelta(hours=1))
            await connection.execute(
                insert(host_override).values(
                    host="h00000", mode="suspended", reason="disk", until_us=until, actor="token:a", at_us=1
                )
            )
        seen = []
        for hours in (0, 2):
            world.now += timedelta(hours=hours)
            await publish(world.engine, world.publisher())
            seen += [(doc.mode, doc.mode_reason) for doc in (await world.documents()).values()]
        return seen

    assert in_a_world(database_url, work) == [("suspended", "disk"), ("enforce", "")]


def test_a_host_whose_document_cannot_be_made_keeps_the_one_it_has(database_url: str) -> None:
    """A service of a kind that no script drives is refused by name; other hosts are published."""

    async def work(world: World) -> tuple[list[str], dict[str, list[int]]]:
        await world.declare([*hosts(2), toy()])
        await publish(world.engine, world.publisher())
        await world.declare([*hosts(2), toy(kind="gone")])
        done = await publish(world.engine, world.publisher())
        return sorted(done.refused), await world.revisions()

    assert in_a_world(database_url, work) == (["h00000"], {"h00000": [1], "h00001": [1]})


def test_without_keys_or_catalogue_nothing_is_published(database_url: str) -> None:
    """It is said what is waited for."""

    async def work(world: World) -> list[str]:
        empty = await publish(world.engine, world.publisher())
        await world.declare(hosts(1))
        keyless = await publish(world.engine, world.publisher(keys=()))
        return [empty.waiting_for, keyless.waiting_for]

    assert in_a_world(database_url, work) == [
        "there is no catalogue yet: import one, or add a host",
        "there is no publisher's key yet: towline trust init",
    ]


def test_targets_hold_what_the_database_says(database_url: str, tmp_path: Path) -> None:
    """The branch has every document's exact bytes, the folder too, and both the trust file."""

    async def work(world: World) -> tuple[bool, set[str], bool]:
        await world.declare([*hosts(4), toy()], "Orders 1")
        await publish(world.engine, world.publisher(git_target(tmp_path), DirectoryTarget(tmp_path / "www")))
        expected, in_git = await documents_on_branch(world, tmp_path)
        in_folder = {path: (tmp_path / "www" / path).read_bytes() for path in expected}
        return (
            expected == in_git == in_folder,
            {*files_on_branch(tmp_path / "fleet.git")} - {*expected},
            b"towline.trust/1" in (tmp_path / "www/trust/1.note").read_bytes(),
        )

    assert in_a_world(database_url, work) == (True, {"trust/1.note"}, True)


def test_the_commit_names_the_change_and_its_author(database_url: str, tmp_path: Path) -> None:
    """Who reads the branch knows what was merged, by whom, and which hosts it concerned."""

    async def work(world: World) -> str:
        await world.declare(hosts(1), "Orders 1")
        await publish(world.engine, world.publisher(git_target(tmp_path)))
        repository = pygit2.Repository(str(tmp_path / "fleet.git"))
        return repository.references["refs/heads/published"].peel(pygit2.Commit).message

    assert in_a_world(database_url, work) == (
        "Orders 1\n\nCatalogue: Orders 1\nDocuments: trust/1, h00000\nAuthor: alice\n"
    )


def test_a_target_that_was_away_gets_everything_later(database_url: str, tmp_path: Path) -> None:
    """Documents are published all the same; the next call delivers what is missing, and only says so until then."""

    async def work(world: World) -> tuple[bool, bool, bool]:
        await world.declare(hosts(2))
        target = GitTarget(GitAccess(url=str(tmp_path / "fleet.git")), "published", tmp_path / "scratch")
        away = await publish(world.engine, world.publisher(target))
        pygit2.init_repository(str(tmp_path / "fleet.git"), bare=True)
        back = await publish(world.engine, world.publisher(target))
        expected, in_git = await documents_on_branch(world, tmp_path)
        return "fleet.git" in away.deliveries[0].problem, back.complete, expected == in_git

    assert in_a_world(database_url, work) == (True, True, True)


def test_a_target_that_others_changed_is_put_right(database_url: str, tmp_path: Path) -> None:
    """Somebody pushed other bytes: the next publication restores every document, and keeps foreign files."""

    async def work(world: World) -> tuple[bool, set[str]]:
        await world.declare(hosts(3))
        target = git_target(tmp_path)
        await publish(world.engine, world.publisher(target))
        door = target.open()
        door.put({document_path("h00001"): b"forged", "README": b"hello"}, "not ours")
        door.close()
        await publish(world.engine, world.publisher(target), verify=True)
        expected, in_git = await documents_on_branch(world, tmp_path)
        return expected == in_git, {p for p in files_on_branch(tmp_path / "fleet.git") if p == "README"}

    assert in_a_world(database_url, work) == (True, {"README"})


def test_a_crash_after_the_push_repeats_to_the_same_commit(database_url: str, tmp_path: Path) -> None:
    """Killed between push and note of it: the next call finds it there, and makes no second commit."""

    async def work(world: World) -> tuple[int, bool]:
        await world.declare(hosts(2))
        target = git_target(tmp_path)

        class Dies:
            """Loses its process right after putting."""

            name = target.name

            def open(self) -> Any:
                door = target.open()
                put = door.put

                def die(files: Any, message: str) -> str:
                    put(files, message)
                    raise SystemError("killed")

                door.put = die  # type: ignore[method-assign]
                return door

        with pytest.raises(SystemError):
            await publish(world.engine, world.publisher(Dies()))
        await publish(world.engine, world.publisher(target))
        repository = pygit2.Repository(str(tmp_path / "fleet.git"))
        expected, in_git = await documents_on_branch(world, tmp_path)
        return len(list(repository.walk(repository.references["refs/heads/published"].target))), expected == in_git

    assert in_a_world(database_url, work) == (1, True)


def test_only_one_publishes(database_url: str) -> None:
    """While one process holds the lease, another is told to come later and who has it."""

    async def work(world: World) -> str:
        await world.declare(hosts(1))
        async with hold(world.engine, "publisher", "replica-a", lambda: micros(world.now)):
            with pytest.raises(TryLater) as refused:
                await publish(world.engine, world.publisher())
        return refused.value.detail

    assert in_a_world(database_url, work) == "replica-a is the publisher at the moment"


def test_another_publisher_is_waited_for(database_url: str) -> None:
    """A person who publishes while the timer does gets the result, not an excuse."""

    async def work(world: World) -> int:
        await world.declare(hosts(1))
        async with hold(world.engine, "publisher", "replica-a", lambda: micros(world.now)):
            waiting = asyncio.create_task(publish(world.engine, world.publisher(), wait_s=60))
            await asyncio.sleep(0.05)
        return (await waiting).documents

    assert in_a_world(database_url, work) == 1


def test_scripts_that_contradict_are_told(database_url: str) -> None:
    """An upgrade of towline ships a script that the catalogue has too: nothing is published, and it is said why."""

    async def work(world: World) -> str:
        await world.declare(hosts(1))
        async with transaction(world.engine) as connection:
            row = {"path": "toyctl.sh", "body": b"another", "change_id": 1}
            await connection.execute(insert(catalogue_script).values(**row))
        return (await publish(world.engine, world.publisher())).waiting_for

    assert in_a_world(database_url, work) == "scripts/toyctl.sh: towline ships a file of that name; give yours another"


def test_who_lost_the_lease_writes_nothing(database_url: str) -> None:
    """A publisher that was held up while another took over finds out in its own transaction."""

    async def work(world: World) -> tuple[dict[str, bytes], dict[str, list[int]]]:
        await world.declare(hosts(1))
        async with hold(world.engine, "publisher", "slow", lambda: micros(world.now)) as lease:
            async with transaction(world.engine) as connection:
                later = micros(world.now + timedelta(minutes=1))
                await leases.take(connection, "publisher", "other", later, later + 1)
            with pytest.raises(LeaseLost):
                await _issue(world.engine, world.publisher(), lease)
        return await world.notes(), await world.revisions()

    assert in_a_world(database_url, work) == ({}, {})


def test_a_publisher_that_lost_the_lease_puts_nothing_in_targets(database_url: str, tmp_path: Path) -> None:
    """The question what is missing is asked under the fence, after the target was opened."""

    async def work(world: World) -> bool:
        await world.declare(hosts(1))
        await publish(world.engine, world.publisher())
        async with hold(world.engine, "publisher", "slow", lambda: micros(world.now)) as lease:
            async with transaction(world.engine) as connection:
                later = micros(world.now + timedelta(minutes=1))
                await leases.take(connection, "publisher", "other", later, later + 1)
            with pytest.raises(LeaseLost):
                await deliver(world.engine, DirectoryTarget(tmp_path / "www"), lease, lambda: 1)
        return (tmp_path / "www/hosts").exists()

    assert in_a_world(database_url, work) is False


def test_a_full_disk_is_told_and_tried_again(database_url: str, tmp_path: Path) -> None:
    """A target that cannot be written is a problem in the answer, not an end of publishing."""

    class Full:
        """A folder on a full disk."""

        name = "full"

        def open(self) -> Any:
            raise TargetUnavailable("cannot write to /full: No space left on device")

    async def work(world: World) -> tuple[str, int]:
        await world.declare(hosts(1))
        done = await publish(world.engine, world.publisher(Full()))
        return done.deliveries[0].problem, done.documents

    assert in_a_world(database_url, work) == ("cannot write to /full: No space left on device", 1)


def test_trouble_names_places_and_hosts() -> None:
    """One sentence for the log and for a person: what waits, which target, the first hosts and how many more."""
    refused = {f"h{number:02}": "too large" for number in range(12)}
    deliveries = (Delivered(target="git-1", problem="away"), Delivered(target="directory-1", files=2))
    trouble = Publication(refused=refused, deliveries=deliveries).trouble
    assert trouble == (
        "git-1: away; " + "; ".join(f"h{number:02}: too large" for number in range(10)) + "; and 2 more hosts"
    )
