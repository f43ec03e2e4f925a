"""One look at the head of a branch, with libgit2. Called from one thread at a time per clone.

libgit2 1.9 never packs anew, so a clone grows by one pack and one open file per fetch: heads are listed first, the
repository is opened for one look, and the clone is made afresh when it has too many packs.
"""

import shutil
from pathlib import Path

import pygit2
from msgspec import Struct
from pygit2.enums import ObjectType

from puller.authorities import none_here
from puller.ports import Stalled, Unavailable
from puller.sources.git_access import GitAccess
from puller.sources.git_address import Address, address_of
from puller.sources.git_callbacks import Callbacks
from puller.sources.git_library import set_up_library
from puller.sources.published_tree import MAX_SOURCE_BYTES

_REFERENCE = "refs/remotes/source/head"
_ERRORS = (pygit2.GitError, KeyError, ValueError, OSError)
"""pygit2 raises a class per code of libgit2, and not all of them are its own."""


class Reading(Struct, frozen=True, kw_only=True):
    """What one file was at one commit; None where there is no such file."""

    data: bytes | None
    commit: str
    origin: str


def read_head(access: GitAccess, clone: Path, path: str, tag: str) -> Reading | None:
    """The file at the head of the branch, or None when the head is still `tag`. Raises Unavailable or Stalled."""
    address = address_of(access.url)
    set_up_library(access, address, clone.parent)
    if not address.is_remote:
        return _read_local(access, address, path, tag)
    head = _remote_head(access, address, clone)
    if head == tag and head:
        return None
    if not head:
        return Reading(data=None, commit="", origin=f"{address.shown}: it has no branch {access.branch}")
    try:
        return _read_clone(access, address, clone, path, head)
    except _Damaged:
        # The clone is a cache: whatever is wrong with it, a fresh one is right.
        shutil.rmtree(clone)
    try:
        return _read_clone(access, address, clone, path, head)
    except _Damaged as error:
        raise Unavailable(f"{address.shown}: its branch {access.branch} cannot be read: {error}") from error


class _Damaged(Exception):
    """Objects that should be there are not, or are not what they say."""


def _remote_head(access: GitAccess, address: Address, clone: Path) -> str:
    """The commit at the head of the branch; empty where there is no such branch. Twelve times cheaper than a fetch."""
    repository = _opened(access, clone)
    try:
        remote = repository.remotes.create_anonymous(access.url)
        heads = remote.list_heads(callbacks=Callbacks(access, address), proxy=True)
        return next((str(head.oid) for head in heads if head.name == f"refs/heads/{access.branch}"), "")
    except _ERRORS as error:
        raise _failure(address, error) from error
    finally:
        repository.free()


def _read_clone(access: GitAccess, address: Address, clone: Path, path: str, head: str) -> Reading:
    repository = _opened(access, clone)
    try:
        if not _has(repository, head):
            _fetch(access, address, repository)
        reference = repository.references.get(_REFERENCE)
        # The branch may have moved since its head was asked for: what was fetched is what is read.
        commit = head if reference is None else str(reference.target)
        return _read_file(repository, commit, path, f"{address.shown} {access.branch}@{commit[:12]}")
    except _ERRORS as error:
        raise _Damaged(f"{type(error).__name__}: {error}") from error
    finally:
        repository.free()


def _opened(access: GitAccess, clone: Path) -> pygit2.Repository:
    """The clone, or a fresh one where it is missing, damaged, or holds too many packs."""
    packs = list((clone / "objects/pack").glob("*.pack"))
    if len(packs) >= access.limits.max_packs:
        shutil.rmtree(clone)
    try:
        repository = pygit2.Repository(str(clone))
    except pygit2.GitError:
        shutil.rmtree(clone, ignore_errors=True)
        clone.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        repository = pygit2.init_repository(str(clone), bare=True)
    return repository


def _has(repository: pygit2.Repository, commit: str) -> bool:
    reference = repository.references.get(_REFERENCE)
    return reference is not None and str(reference.target) == commit


def _fetch(access: GitAccess, address: Address, repository: pygit2.Repository) -> None:
    remote = repository.remotes.create_anonymous(access.url)
    try:
        # Forced: a rewritten branch is fetched like any other; what its document may say, the ratchet decides.
        remote.fetch(
            [f"+refs/heads/{access.branch}:{_REFERENCE}"], callbacks=Callbacks(access, address), proxy=True, depth=1
        )
    except _ERRORS as error:
        if _is_damage(error):
            raise _Damaged(str(error)) from error
        raise _failure(address, error) from error


def _read_file(repository: pygit2.Repository, commit: str, path: str, origin: str) -> Reading:
    """Raises Stalled for what is no document, and _ERRORS for a damaged repository."""
    found: pygit2.Object = repository[commit].peel(pygit2.Tree)
    for name in path.split("/"):
        # Each tree is looked up by its id: by path, libgit2 takes a tree that is lost for a file that is not there.
        if not isinstance(found, pygit2.Tree) or name not in found:
            return Reading(data=None, commit=commit, origin=origin)
        identity = found[name].id
        kind, size = repository.odb.read_header(identity)
        if size > MAX_SOURCE_BYTES and kind == ObjectType.BLOB:
            raise Stalled(f"{origin}: {path} is {size} bytes long, more than any document; it is not read")
        found = repository[identity]
    if not isinstance(found, pygit2.Blob):
        raise Stalled(f"{origin}: {path} is a folder, not a document. Publish anew")
    return Reading(data=found.read_raw(), commit=commit, origin=origin)


def _read_local(access: GitAccess, address: Address, path: str, tag: str) -> Reading | None:
    """A repository on this machine is read where it is: there is nothing to fetch."""
    try:
        repository = pygit2.Repository(address.path)
    except pygit2.GitError as error:
        raise Unavailable(f"{address.shown}: is no git repository, or not there: {error}") from error
    try:
        reference = repository.references.get(f"refs/heads/{access.branch}")
        if reference is None:
            return Reading(data=None, commit="", origin=f"{address.shown}: it has no branch {access.branch}")
        commit = str(reference.target)
        origin = f"{address.shown} {access.branch}@{commit[:12]}"
        return None if commit == tag else _read_file(repository, commit, path, origin)
    except _ERRORS as error:
        raise Unavailable(f"{address.shown}: its branch {access.branch} cannot be read: {error}") from error
    finally:
        repository.free()


def _failure(address: Address, error: Exception) -> Unavailable | Stalled:
    """What an error of libgit2 means; it has few classes, so its words are read."""
    text = " ".join(str(error).split())[:500]
    told = f"git {address.shown}: {text}"
    if isinstance(error, pygit2.CertificateError):
        if address.scheme == "ssh":
            return Stalled(f"{told}. The server is not the one that known_hosts_file names: check which is right")
        told += ". Either its CA is not named in ca_file, or it has ended, or this host's clock is wrong"
        return Stalled(f"{told}{none_here()}")
    if isinstance(error, pygit2.AuthError):
        return Stalled(f"{told}. Give this host's key or password access to the repository")
    if "407" in text:
        return Stalled(f"{told}. The proxy refuses our user and password: correct https_proxy")
    if any(words in text for words in ("status code: 40", "not appear to be a git repository", "redirect")):
        return Stalled(f"{told}. Correct the url of the source, or what this host may read there")
    return Unavailable(told)


def _is_damage(error: Exception) -> bool:
    return any(words in str(error) for words in ("object not found", "corrupt", "no match for id", "mismatched", "odb"))
