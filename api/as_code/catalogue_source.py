"""Where the catalogue as code comes from: a folder, or a branch of a git repository. Blocking; callers use a thread."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import pygit2
from msgspec import Struct
from pygit2.enums import FileMode

from api.as_code.catalogue_files import FOLDER
from api.errors import TryLater
from api.git_access import GitAccess, GitRefused, GitUnavailable, explain, remote_of, using
from api.publish.git import own_repository
from desired_state.catalogue import Problem

SCRIPTS = "scripts/"
MAX_FILE_BYTES = 4 << 20
_FOLDERS = (FOLDER, SCRIPTS)


class Tree(Struct, frozen=True, kw_only=True):
    """One state of the files: what is imported, whole."""

    ref: str
    """The commit, or the digest of all files in a folder."""
    author: str
    summary: str
    files: dict[str, bytes]
    """`catalogue/…` and `scripts/…`."""
    problems: tuple[Problem, ...] = ()
    """Files that cannot be read."""


class CatalogueSource(Protocol):
    """Where trees come from."""

    name: str
    """`git`, `folder`: as changes show it."""

    def read(self, known: str) -> Tree | None:
        """The tree as it stands now; None when it is still `known`. Raises TryLater when it cannot be had."""


class FolderSource:
    """A working tree on this machine."""

    name = "folder"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, known: str) -> Tree | None:
        """The files as they are now. Raises TryLater."""
        files: dict[str, bytes] = {}
        problems: list[Problem] = []
        try:
            for path, file in _walk(self._folder):
                wrong = _refuse(path, is_link=file.is_symlink(), size=file.lstat().st_size)
                if wrong:
                    problems.append(wrong)
                else:
                    files[path] = file.read_bytes()
        except OSError as error:
            raise TryLater(f"cannot read the catalogue in {self._folder}: {error}") from error
        ref = _digest(files)
        if ref == known:
            return None
        summary = f"{self._folder}: {sum(path.startswith(FOLDER) for path in files)} files"
        return Tree(ref=ref, author="folder", summary=summary, files=files, problems=tuple(problems))


class GitSource:
    """A branch of a git repository."""

    name = "git"

    def __init__(self, access: GitAccess, branch: str, scratch: Path) -> None:
        self._access = access
        self._branch = branch
        self._reference = f"refs/heads/{branch}"
        self._scratch = scratch

    def read(self, known: str) -> Tree | None:
        """The files at the head of the branch. Raises TryLater."""
        try:
            repository = self._repository()
            head = self._head(repository)
            if head is None:
                raise TryLater(f"{self._access.url} has no branch {self._branch}", retry_after_s=60)
            if str(head) == known:
                return None
            return _tree_of(repository[head].peel(pygit2.Commit))
        except (GitRefused, GitUnavailable) as error:
            raise TryLater(str(error), retry_after_s=60) from error
        except (pygit2.GitError, OSError, ValueError, KeyError) as error:
            raise TryLater(str(explain(self._access, "cannot read", error)), retry_after_s=60) from error

    def _repository(self) -> pygit2.Repository:
        local = self._access.local_path
        if local is not None:
            return pygit2.Repository(str(local))
        digest = sha256(f"{self._access.url}#{self._branch}".encode()).hexdigest()[:16]
        return own_repository(self._scratch / f"catalogue-{digest}.git")

    def _head(self, repository: pygit2.Repository) -> pygit2.Oid | None:
        """The branch's head, fetched when it is not here yet: asking for heads costs a tenth of a fetch."""
        if self._access.local_path is not None:
            reference = repository.references.get(self._reference)
            return None if reference is None else reference.peel(pygit2.Commit).id
        remote = remote_of(repository, self._access)
        with using(self._access, self._scratch) as callbacks:
            heads = {head.name: head.oid for head in remote.list_heads(callbacks=callbacks, proxy=True)}
        head = heads.get(self._reference)
        if head is not None and head not in repository:
            with using(self._access, self._scratch) as callbacks:
                refspec = f"+{self._reference}:{self._reference}"
                remote.fetch([refspec], callbacks=callbacks, proxy=True, depth=1)
        return head


def _tree_of(commit: pygit2.Commit) -> Tree:
    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    for path, entry in _blobs(commit.tree, "", 0):
        wrong = _refuse(path, is_link=entry.filemode == FileMode.LINK, size=entry.size)
        if wrong:
            problems.append(wrong)
        else:
            files[path] = entry.data
    author = f"{commit.author.name} <{commit.author.email}>"
    summary = commit.message.strip().splitlines()[0] if commit.message.strip() else ""
    return Tree(ref=str(commit.id), author=author, summary=summary, files=files, problems=tuple(problems))


def _blobs(tree: pygit2.Tree, prefix: str, depth: int) -> Iterator[tuple[str, pygit2.Blob]]:
    for entry in tree:
        path = f"{prefix}{entry.name}"
        if isinstance(entry, pygit2.Tree) and depth < 16 and f"{path}/".startswith(_FOLDERS):
            yield from _blobs(entry, f"{path}/", depth + 1)
        elif isinstance(entry, pygit2.Blob) and prefix.startswith(_FOLDERS):
            yield path, entry


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder")
    for top in _FOLDERS:
        for file in sorted((folder / top).rglob("*")):
            if file.is_symlink() or file.is_file():
                yield file.relative_to(folder).as_posix(), file


def _refuse(path: str, *, is_link: bool, size: int) -> Problem | None:
    if is_link:
        return Problem(pointer="", file=path, message="is a link; put the file itself there")
    if size > MAX_FILE_BYTES:
        return Problem(pointer="", file=path, message=f"is {size} bytes long; a file has at most {MAX_FILE_BYTES}")
    return None


def _digest(files: dict[str, bytes]) -> str:
    lines = (f"{sha256(data).hexdigest()} {path}\n" for path, data in sorted(files.items()))
    return f"sha256:{sha256(''.join(lines).encode()).hexdigest()}"
