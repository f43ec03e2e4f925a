"""Signing documents and putting them on a git branch, beside the bare tree builder with bytes of the same size."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pygit2
from pygit2.enums import FileMode

from api.git_access import GitAccess
from api.publish.git import GitTarget
from api.publish.target import document_path
from desired_state.document import Document, encode
from desired_state.note import SigningKey, sign
from tests.bench.fleet import document, host_names
from tests.bench.measurement import Aim, Measurement, side_by_side_s

FLEET = 10_000
SERVICES = 10


def measure() -> Iterator[Measurement]:
    """One changed host in a fleet of 10,000, then all of them."""
    hosts = host_names(FLEET)
    with tempfile.TemporaryDirectory(prefix="towline-bench-") as scratch:
        ours, bare = _Ours(Path(scratch) / "ours"), BareBranch(Path(scratch) / "bare")
        for count, times, noun in ((FLEET, 1, "first"), (1, 21, "1 host"), (FLEET, 3, "10,000 hosts")):
            rounds = [_documents(hosts[:count], f"1.{noun}.{number}") for number in range(times)]
            left, right = iter(rounds), iter([{path: encode(one) for path, one in files.items()} for files in rounds])
            value, reference = side_by_side_s(
                lambda left=left: ours.publish(next(left)),  # type: ignore[misc]
                lambda right=right: bare.publish(next(right)),  # type: ignore[misc]
                times=times,
            )
            if noun == "first":
                continue  # filling an empty branch is not what happens every day
            yield Measurement(
                name=f"publish {noun} of 10,000 to git",
                value=value * 1000,
                unit="ms",
                reference=reference * 1000,
                reference_name="bare tree builder",
                aim=Aim(at_most=2, of="ratio"),
            )


def _documents(hosts: list[str], version: str) -> dict[str, Document]:
    version = version.replace(" ", "-").replace(",", "")
    return {document_path(host): document(host, services=SERVICES, version=version) for host in hosts}


class _Ours:
    """What towline does: encode, sign, put on the branch as it stands."""

    def __init__(self, folder: Path) -> None:
        pygit2.init_repository(str(folder), bare=True)
        self._target = GitTarget(GitAccess(url=str(folder)), "published", folder.with_name("scratch"))
        self._key = SigningKey.generate("bench", bytes(range(32)))

    def publish(self, documents: Mapping[str, Document]) -> None:
        files = {path: sign(encode(one), [self._key]) for path, one in documents.items()}
        door = self._target.open()
        try:
            door.put(files, "bench")
        finally:
            door.close()


class BareBranch:
    """The least that git can do for the same tree: blobs, folders, one commit."""

    def __init__(self, folder: Path) -> None:
        self._repository = pygit2.init_repository(str(folder), bare=True)
        self._who = pygit2.Signature("bench", "bench@localhost", 1_700_000_000, 0)

    def publish(self, files: Mapping[str, bytes]) -> None:
        folders: dict[str, dict[str, bytes]] = {}
        for path, data in files.items():
            _, folder, name = path.split("/")
            folders.setdefault(folder, {})[name] = data
        reference = self._repository.references.get("refs/heads/published")
        head = None if reference is None else reference.peel(pygit2.Commit)
        top = self._builder(None if head is None else head.tree["hosts"])
        for folder, inside in folders.items():
            old = None if head is None else head.tree["hosts"].peel(pygit2.Tree)
            builder = self._builder(old[folder] if old is not None and folder in old else None)
            for name, data in inside.items():
                builder.insert(name, self._repository.create_blob(data), FileMode.BLOB)
            top.insert(folder, builder.write(), FileMode.TREE)
        root = self._repository.TreeBuilder()
        root.insert("hosts", top.write(), FileMode.TREE)
        parents = [] if head is None else [head.id]
        self._repository.create_commit("refs/heads/published", self._who, self._who, "bench", root.write(), parents)

    def _builder(self, old: pygit2.Object | None) -> pygit2.TreeBuilder:
        return self._repository.TreeBuilder() if old is None else self._repository.TreeBuilder(old.peel(pygit2.Tree))
