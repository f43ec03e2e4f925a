"""A bare repository on disk that a test commits to, and that a server hands out."""

from pathlib import Path

import pygit2

_AUTHOR = pygit2.Signature("towline tests", "tests@towline.invalid", 1_750_000_000, 0)


class BareRepository:
    """One bare repository; `main` is its default branch."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._repository = pygit2.init_repository(str(path), bare=True, initial_head="main")
        # What the server must allow for `git push` and for a fetch of one commit.
        self._repository.config["http.receivepack"] = "true"

    def commit(self, files: dict[str, bytes | None], *, branch: str = "main", message: str = "a change") -> str:
        """Put these files on top of the branch (None removes one); return the commit's id."""
        parent = self.head(branch)
        index = pygit2.Index()
        if parent is not None:
            index.read_tree(self._repository[parent].peel(pygit2.Tree))
        for path, content in files.items():
            if content is None:
                index.remove(path)
            else:
                blob = self._repository.create_blob(content)
                index.add(pygit2.IndexEntry(path, blob, pygit2.enums.FileMode.BLOB))
        tree = index.write_tree(self._repository)
        parents = [] if parent is None else [parent]
        commit = self._repository.create_commit(f"refs/heads/{branch}", _AUTHOR, _AUTHOR, message, tree, parents)
        return str(commit)

    def rewrite(self, files: dict[str, bytes | None], *, branch: str = "main") -> str:
        """Replace the branch by one new commit without a parent, as a force push does; return its id."""
        if self.head(branch) is not None:
            self._repository.references.delete(f"refs/heads/{branch}")
        return self.commit(files, branch=branch, message="another history")

    def head(self, branch: str = "main") -> str | None:
        """The commit that the branch points to; None when there is no such branch."""
        reference = self._repository.references.get(f"refs/heads/{branch}")
        return None if reference is None else str(reference.target)

    def read(self, path: str, *, branch: str = "main") -> bytes:
        """The bytes of one file at the branch's head."""
        blob = self._repository.revparse_single(f"refs/heads/{branch}:{path}")
        return bytes(blob.peel(pygit2.Blob).data)
