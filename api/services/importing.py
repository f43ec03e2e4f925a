"""Importing the catalogue as code: all or nothing, with every problem at its file, line and field.

A state that is refused is written down with its problems and changes nothing: what was imported last goes on counting.
Calling it again, twice at once, or after a crash does no harm: what counts is decided under the lock of the catalogue's
head.
"""

import asyncio
from datetime import datetime

import msgspec
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.as_code.catalogue_files import FOLDER, CatalogueRead, read_catalogue
from api.as_code.catalogue_source import SCRIPTS, CatalogueSource, FolderSource, GitSource, Tree
from api.database import snapshot, transaction
from api.errors import Misconfigured, TryLater
from api.git_access import access_of
from api.moments import micros
from api.principal import Principal
from api.publish.bundle import BadScript, Scripts, make_bundle, merge_scripts
from api.repositories import catalogue
from api.repositories.publications import tell
from api.services import audit, secrets
from api.services.catalogue import Origin, store
from api.settings import Settings
from desired_state.catalogue import Problem
from desired_state.contract import KindMeta
from desired_state.problems import problems
from desired_state.service_problems import KnownSecrets

_DEADLINE_S = 120.0
_TRIES = 10


class Imported(Struct, frozen=True, kw_only=True):
    """What an import did."""

    state: str
    """`applied`, `refused`, `unchanged`."""
    ref: str
    change: int = 0
    """The change that was written down; 0 when it was there already."""
    summary: str = ""
    problems: tuple[Problem, ...] = ()


class Judged(Struct, frozen=True, kw_only=True):
    """A tree that was read: what it declares, and everything that is wrong with it."""

    read: CatalogueRead
    scripts: dict[str, bytes]
    kinds: dict[str, KindMeta]
    problems: tuple[Problem, ...]

    @property
    def is_valid(self) -> bool:
        """Whether it may be applied: warnings do not count."""
        return all(problem.severity != "error" for problem in self.problems)


def source_of(settings: Settings) -> CatalogueSource:
    """Where the catalogue as code lives. Raises Misconfigured when it is not kept as code."""
    if settings.catalogue.git is not None:
        git = settings.catalogue.git
        return GitSource(access_of(git), git.branch, settings.state_folder / "git")
    if settings.catalogue.folder is not None:
        return FolderSource(settings.catalogue.folder)
    raise Misconfigured("the catalogue is not kept as code: set [catalogue] folder, or [catalogue.git] url")


def judge(tree: Tree, shipped: Scripts, there: KnownSecrets | None = None) -> Judged:
    """Everything that is wrong with a tree, at once. Runs `meta` of scripts that were not seen yet; blocks."""
    kinds, bad_script = _kinds(shipped, scripts_of(tree))
    return judge_with(tree, kinds, bad_script, there)


def judge_with(
    tree: Tree,
    kinds: dict[str, KindMeta],
    bad_script: Problem | None = None,
    there: KnownSecrets | None = None,
) -> Judged:
    """The same for a tree whose kinds are known, or are told by `bad_script` not to be. Runs nothing."""
    read = read_catalogue(tree.files)
    found = [*tree.problems, *read.problems]
    if not any(path.startswith(FOLDER) for path in tree.files):
        # An empty tree is an accident more often than a wish, and absence is never an order to delete.
        found.append(Problem(pointer="", file=FOLDER, message="is not there, or holds nothing; nothing was changed"))
    if bad_script is not None:
        found.append(bad_script)
    for problem in problems(read.catalogue, kinds, there):
        follows_from_script = bad_script is not None and problem.pointer.endswith("/kind")
        if not follows_from_script and not read.follows_from_unread(problem):
            found.append(read.located(problem))
    ordered = tuple(sorted(found, key=lambda p: (p.file, p.line)))
    return Judged(read=read, scripts=scripts_of(tree), kinds=kinds, problems=ordered)


def scripts_of(tree: Tree) -> dict[str, bytes]:
    """The tree's own scripts, by path below the scripts' folder."""
    return {path.removeprefix(SCRIPTS): data for path, data in tree.files.items() if path.startswith(SCRIPTS)}


async def import_catalogue(
    engine: AsyncEngine, source: CatalogueSource, by: Principal, *, shipped: Scripts, now: datetime
) -> Imported:
    """Make what stands in the source the catalogue, or say why not. Raises TryLater when the source cannot be had."""
    for _ in range(_TRIES):
        async with snapshot(engine) as connection:
            newest = await catalogue.newest_change(connection)
            there = await secrets.known(connection)
        # A refused state is judged again: another version of towline may know its kinds.
        known = newest.ref if newest is not None and newest.state == "applied" else ""
        tree = await asyncio.to_thread(source.read, known)
        if tree is None:
            return Imported(state="unchanged", ref=known)
        judged = await asyncio.to_thread(judge, tree, shipped, there)
        done = await _write(engine, newest, tree, judged, source=source.name, by=by, now=now)
        if done is not None:
            return done
    raise TryLater("others change the catalogue all the time", retry_after_s=2)


async def _write(
    engine: AsyncEngine,
    before: catalogue.ChangeRow | None,
    tree: Tree,
    judged: Judged,
    *,
    source: str,
    by: Principal,
    now: datetime,
) -> Imported | None:
    """None when a change came since `before`, which was the newest one before the tree was read: the tree may be older
    than that change, and would take it back.
    """
    write = _apply if judged.is_valid else _refuse
    async with transaction(engine, deadline_s=_DEADLINE_S) as connection:
        await catalogue.lock_head(connection)
        newest = await catalogue.newest_change(connection)
        if newest is not None and (newest.state, newest.ref) == ("applied", tree.ref):
            return Imported(state="unchanged", ref=tree.ref)  # another replica was first
        if newest != before:
            return None
        return await write(connection, tree, judged, source=source, by=by, now=now)


async def _apply(
    connection: AsyncConnection, tree: Tree, judged: Judged, *, source: str, by: Principal, now: datetime
) -> Imported:
    rows = await catalogue.everything(connection)
    origin = Origin(source=source, author=tree.author, ref=tree.ref, summary=tree.summary)
    change = await store(connection, rows, judged.read.declared, origin, warnings=judged.problems, by=by, now=now)
    old = await catalogue.scripts(connection)
    changed = {path: data for path, data in judged.scripts.items() if old.get(path) != data}
    await catalogue.put_scripts(connection, changed, old.keys() - judged.scripts.keys(), change)
    return Imported(state="applied", ref=tree.ref, change=change, summary=tree.summary, problems=judged.problems)


async def _refuse(
    connection: AsyncConnection, tree: Tree, judged: Judged, *, source: str, by: Principal, now: datetime
) -> Imported:
    told = msgspec.json.encode(judged.problems)
    newest = await catalogue.newest_change(connection)
    refused = Imported(state="refused", ref=tree.ref, summary=tree.summary, problems=judged.problems)
    if newest is not None and (newest.state, newest.ref, newest.problems) == ("refused", tree.ref, told):
        return refused  # said already: a broken main is one line, however often it is looked at
    change = await catalogue.add_change(
        connection,
        ref=tree.ref,
        author=tree.author[:500],
        summary=tree.summary[:2000],
        source=source,
        at_us=micros(now),
        state="refused",
        problems=told,
        changed=b"[]",
    )
    await tell(connection, micros(now), "catalogue", [""])
    first = next(problem for problem in judged.problems if problem.severity == "error")
    detail = {"ref": tree.ref, "problems": str(len(judged.problems)), "first": f"{first.file}: {first.message}"[:500]}
    await audit.append(
        connection, now=now, actor=by.actor, action="catalogue.refused", subject="catalogue", detail=detail
    )
    return msgspec.structs.replace(refused, change=change)


def _kinds(shipped: Scripts, own: Scripts) -> tuple[dict[str, KindMeta], Problem | None]:
    try:
        return make_bundle(merge_scripts(shipped, own)).kinds, None
    except BadScript as bad:
        problem = Problem(pointer="", file=f"{SCRIPTS}{bad.path}", message=bad.message)
        return make_bundle(shipped).kinds, problem
