"""Documents as files on a branch: each publication is one commit on top of whatever the branch has.

A branch on this machine is written directly: the commit is made on the very head that was opened, or not at all. A
branch behind a network is fetched into a bare repository of our own and pushed, never by force: the server moves it
only from the head that we saw. Both times losing the race is TargetMoved.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pygit2
from msgspec import Struct
from pygit2.enums import FileMode

from api.git_access import GitAccess, GitRefused, GitUnavailable, explain, remote_of, using
from api.publish.target import TargetMoved, TargetUnavailable, target_name

MAX_PACKS = 50
"""libgit2 never repacks (pygit2#1211): beyond this our copy is thrown away and fetched anew."""
MAX_LOOSE_FOLDER = 200
"""Loose objects in one of the 256 folders, likewise."""
AUTHOR_MAIL = "towline@localhost"


class GitTarget:
    """A branch of a git repository."""

    def __init__(self, access: GitAccess, branch: str, scratch: Path) -> None:
        self._access = access
        self._reference = f"refs/heads/{branch}"
        self._scratch = scratch
        self.name = target_name("git", f"{access.url}#{branch}")

    def open(self) -> "LocalDoor | RemoteDoor":
        """The branch as it stands now. Raises TargetUnavailable."""
        try:
            if self._access.local_path is not None:
                return LocalDoor(pygit2.Repository(str(self._access.local_path)), self._reference)
            return self._fetch()
        except (GitRefused, GitUnavailable) as error:
            raise TargetUnavailable(str(error)) from error
        except (pygit2.GitError, OSError, ValueError, KeyError) as error:
            raise TargetUnavailable(str(explain(self._access, "cannot open", error))) from error

    def _fetch(self) -> "RemoteDoor":
        folder = self._scratch / f"{self.name}.git"
        repository = own_repository(folder)
        with using(self._access, self._scratch) as callbacks:
            remote = remote_of(repository, self._access)
            heads = {head.name: head.oid for head in remote.list_heads(callbacks=callbacks, proxy=True)}
            head = heads.get(self._reference)
        if head is not None and head not in repository:
            with using(self._access, self._scratch) as callbacks:
                remote.fetch([f"+{self._reference}:{self._reference}"], callbacks=callbacks, proxy=True)
        elif head is not None:
            repository.references.create(self._reference, head, force=True)
        elif self._reference in repository.references:
            repository.references.delete(self._reference)
        return RemoteDoor(repository, self._reference, self._access, self._scratch)


def own_repository(folder: Path) -> pygit2.Repository:
    """Our bare copy; made anew when it is missing, damaged, or has grown."""
    if folder.is_dir():
        packs = len(list(folder.glob("objects/pack/*.pack")))
        loose = len(list(folder.glob("objects/17/*")))  # as git gc does: one folder tells of all
        if packs <= MAX_PACKS and loose <= MAX_LOOSE_FOLDER:
            try:
                return pygit2.Repository(str(folder))
            except pygit2.GitError:
                pass  # a crash left half a repository; it holds nothing that is not elsewhere
        shutil.rmtree(folder)
    return pygit2.init_repository(str(folder), bare=True)


class LocalDoor:
    """A branch in a repository on this machine."""

    def __init__(self, repository: pygit2.Repository, reference: str) -> None:
        self._repository = repository
        self._reference = reference
        self._head = _head(repository, reference)
        self.state = str(self._head or "")

    def put(self, files: Mapping[str, bytes], message: str) -> str:
        """One commit on the head that was opened. Raises TargetMoved or TargetUnavailable."""
        try:
            commit = commit_files(self._repository, self._head, files, message)
            if commit is None:
                return self.state
            _move(self._repository, self._reference, self._head, commit)
        except (pygit2.GitError, OSError) as error:
            raise TargetUnavailable(f"cannot write to {self._repository.path}: {error}") from error
        return str(commit)

    def close(self) -> None:
        """Give back its files."""
        self._repository.free()


class RemoteDoor:
    """A branch behind a network, at the head that the server named."""

    def __init__(self, repository: pygit2.Repository, reference: str, access: GitAccess, scratch: Path) -> None:
        self._repository = repository
        self._reference = reference
        self._access = access
        self._scratch = scratch
        self._head = _head(repository, reference)
        self.state = str(self._head or "")

    def put(self, files: Mapping[str, bytes], message: str) -> str:
        """One commit, pushed without force. Raises TargetMoved or TargetUnavailable."""
        try:
            commit = commit_files(self._repository, self._head, files, message)
            if commit is None:
                return self.state
            self._repository.references.create(self._reference, commit, force=True)
            with using(self._access, self._scratch) as callbacks:
                remote = remote_of(self._repository, self._access)
                remote.push([f"{self._reference}:{self._reference}"], callbacks=callbacks, proxy=True)
        except GitRefused as error:
            raise TargetUnavailable(str(error)) from error
        except (pygit2.GitError, OSError, ValueError) as error:
            if "non-fastforward" in str(error).lower() or "not present locally" in str(error):
                raise TargetMoved(f"{self._access.url} moved while we wrote") from error
            raise TargetUnavailable(str(explain(self._access, "cannot push to", error))) from error
        for words in callbacks.refused_refs.values():
            raise _push_refused(self._access, words)
        return str(commit)

    def close(self) -> None:
        """Give back its files."""
        self._repository.free()


def _push_refused(access: GitAccess, words: str) -> TargetMoved | TargetUnavailable:
    """What the server said of the branch: it moved meanwhile, or it does not let us."""
    moved = ("fetch first", "non-fast-forward", "cannot lock ref", "failed to update ref", "stale info")
    if any(word in words for word in moved):
        return TargetMoved(f"{access.url} moved while we wrote: {words}")
    return TargetUnavailable(f"{access.url} does not let us push: {words}")


def _head(repository: pygit2.Repository, reference: str) -> pygit2.Oid | None:
    if reference not in repository.references:
        return None
    return repository.references[reference].peel(pygit2.Commit).id


def _move(repository: pygit2.Repository, name: str, head: pygit2.Oid | None, commit: pygit2.Oid) -> None:
    """Move the branch from exactly that head. Raises TargetMoved."""
    try:
        if head is None:
            repository.references.create(name, commit)
            return
        reference = repository.references[name]
        if reference.target != head:
            raise TargetMoved(f"{name} moved while we wrote")
        reference.set_target(commit)  # libgit2 compares with what this object read, under the reference's lock
    except (pygit2.AlreadyExistsError, KeyError) as error:
        raise TargetMoved(f"{name} moved while we wrote") from error
    except pygit2.GitError as error:
        if "modified" in str(error) or "old reference value" in str(error) or "lock" in str(error):
            raise TargetMoved(f"{name} moved while we wrote: {error}") from error
        raise


class _Node(Struct):
    files: dict[str, bytes]
    folders: dict[str, "_Node"]


def commit_files(
    repository: pygit2.Repository, head: pygit2.Oid | None, files: Mapping[str, bytes], message: str
) -> pygit2.Oid | None:
    """A commit on top of `head` in which the files stand; None where they stand there already.

    Folders are built from those of the head, so what nobody named stays, and only what changed is written.
    """
    base = repository[head].peel(pygit2.Tree) if head is not None else None
    tree = _write_tree(repository, base, _nest(files))
    if base is not None and tree == base.id:
        return None
    signature = pygit2.Signature("towline", AUTHOR_MAIL)
    return repository.create_commit(None, signature, signature, message, tree, [head] if head is not None else [])


def _nest(files: Mapping[str, bytes]) -> _Node:
    root = _Node(files={}, folders={})
    for path, data in files.items():
        *folders, name = path.split("/")
        node = root
        for folder in folders:
            node = node.folders.setdefault(folder, _Node(files={}, folders={}))
        node.files[name] = data
    return root


def _write_tree(repository: pygit2.Repository, base: pygit2.Tree | None, node: _Node) -> pygit2.Oid:
    builder = repository.TreeBuilder(base) if base is not None else repository.TreeBuilder()
    for name, data in node.files.items():
        builder.insert(name, repository.create_blob(data), FileMode.BLOB)
    for name, below in node.folders.items():
        old = base[name] if base is not None and name in base else None
        folder = _write_tree(repository, old if isinstance(old, pygit2.Tree) else None, below)
        builder.insert(name, folder, FileMode.TREE)
    return builder.write()
