"""Documents from a branch of a git repository, over https, ssh, or from a path.

libgit2 blocks, is not thread safe per object, and has no deadline for a whole exchange: each fetch runs in a thread of
its own, one at a time, under a deadline that the pass can rely on. What the history did (forced, rewritten, rolled
back) is not judged here: a source returns bytes, and the ratchet decides.
"""

import asyncio
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from puller.ports import Fetched, Unavailable, Unchanged
from puller.sources.git_access import GitAccess
from puller.sources.importing import import_pygit2
from puller.sources.published_tree import document_path, trust_path

if TYPE_CHECKING:
    from puller.sources.git_clone import Reading

T = TypeVar("T")
MAX_STUCK = 3


class GitSource:
    """`hosts/<xx>/<name>` at the head of a branch. `folder` holds the clone and belongs to this source alone."""

    def __init__(self, access: GitAccess, *, host: str, folder: Path) -> None:
        self._access = access
        self._host = host
        self._folder = folder
        self._generation = 0
        self._ended: list[threading.Event] = []
        """One per fetch that may still run: set at its end."""

    async def fetch(self, tag: str) -> Fetched | Unchanged:
        """See ports.Source; the tag is the commit's id."""
        path = document_path(self._host)
        reading = await self._read(path, tag)
        if reading is None:
            return Unchanged()
        return Fetched(data=reading.data, tag=reading.commit, origin=reading.origin)

    async def fetch_trust(self, version: int) -> bytes | None:
        """See ports.Source."""
        reading = await self._read(trust_path(version), "")
        return None if reading is None else reading.data

    async def close(self) -> None:
        """Nothing stays open between fetches."""

    async def _read(self, path: str, tag: str) -> "Reading | None":
        self._make_way()
        clone = self._folder / f"clone-{self._generation}"

        def job() -> "Reading | None":
            # libgit2 costs memory: only a host that has a git source loads it.
            import_pygit2()
            from puller.sources.git_clone import read_head  # noqa: PLC0415

            self._remove_other_clones()
            try:
                return read_head(self._access, clone, path, tag)
            except OSError as error:
                raise Unavailable(f"the folder {self._folder} of the git source: {error}") from error

        return await self._in_thread(job)

    def _make_way(self) -> None:
        """A fetch that outlived its deadline keeps its thread and its clone; the next one starts beside it."""
        self._ended = [ended for ended in self._ended if not ended.is_set()]
        if len(self._ended) > MAX_STUCK:
            raise Unavailable(f"{len(self._ended)} fetches still hang at the git server; waiting for one to end")
        if self._ended:
            self._generation += 1

    def _remove_other_clones(self) -> None:
        if len(self._ended) == 1 and self._folder.is_dir():  # nobody but this fetch
            for other in self._folder.glob("clone-*"):
                if other.name != f"clone-{self._generation}":
                    shutil.rmtree(other, ignore_errors=True)

    async def _in_thread(self, job: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        ended = threading.Event()

        def finish(set_it: Callable[[], None]) -> None:
            if not done.done():  # nobody waits any more after the deadline
                set_it()

        def run() -> None:
            try:
                result = job()
            except BaseException as error:  # noqa: BLE001 - it is raised again where it is awaited
                told = error
                ended.set()
                _tell(loop, lambda: finish(lambda: done.set_exception(told)))
            else:
                ended.set()
                _tell(loop, lambda: finish(lambda: done.set_result(result)))

        self._ended.append(ended)
        # A daemon: a server that never lets go must not hold up the end of the puller.
        threading.Thread(target=run, name="git-source", daemon=True).start()
        try:
            async with asyncio.timeout(self._access.limits.total_s):
                return await done
        except TimeoutError as error:
            text = f"git fetch of branch {self._access.branch}: not done in {self._access.limits.total_s:g} s"
            raise Unavailable(text) from error


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
        loop.call_soon_threadsafe(what)
