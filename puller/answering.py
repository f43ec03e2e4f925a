"""The puller's own word that it lives: one JSON message to whoever connects to its local socket, then the end.

The event loop itself answers, so a puller whose loop hangs does not. Nothing is read from a client and nothing is
waited for: the message fits the socket's buffer, so a client that never reads holds nothing here.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import structlog
from msgspec import Struct

from puller.paths import Paths

BACKLOG = 64
MAX_MESSAGE = 1000
_log = structlog.get_logger("towline.answering")


class Word(Struct, frozen=True, kw_only=True):
    """What the puller says of itself. docs/agent.md lists the fields: scripts read them by `alive`."""

    pid: int
    version: str
    release: str = ""
    """Folder name of the release it runs from; empty outside one."""
    up_s: int
    passes: int = 0
    """Completed by this process."""
    pass_age_s: int | None = None
    """Since the end of its last completed pass; None before the first."""
    good_pass_age_s: int | None = None
    """Since the end of its last pass after which the host was ready; None before the first."""
    delivered: int = 0
    """Deliveries that the backend acknowledged to this process."""
    undelivered: str = ""
    """Why the last delivery was not taken; empty when it was."""
    sink: bool = False
    """Whether there is a backend to report to."""
    ready: str = "Unknown"
    """The condition Ready: True, False or Unknown."""
    reason: str = ""
    revision: int | None = None
    """The newest accepted one."""
    message: str = ""


class Answering:
    """The open socket of this puller. The caller holds the host's lock: whatever lies there is of a dead one."""

    def __init__(self, path: Path, word: Callable[[], Word]) -> None:
        self._path = path
        self._word = word
        self._socket: socket.socket | None = None
        self._told = False

    def open(self) -> None:
        """Listens, if it does not yet. A disk that takes no socket is logged once, and stops nothing."""
        if self._socket is not None:
            return
        try:
            listening = _listen(self._path)
        except OSError as error:
            if not self._told:
                _log.warning("cannot answer on the local socket", path=str(self._path), reason=str(error))
            self._told = True
            return
        self._socket, self._told = listening, False
        asyncio.get_running_loop().add_reader(listening, self._answer)

    def close(self) -> None:
        """Listens no more."""
        if self._socket is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._socket = None
        with suppress(OSError):  # the next puller replaces a file that could not be removed
            self._path.unlink()

    def _answer(self) -> None:
        """Answers one client; the loop calls again while others wait."""
        assert self._socket is not None  # noqa: S101 - the loop reads only from an open one
        try:
            client, _ = self._socket.accept()
        except OSError:
            return  # it went away again
        with client, suppress(OSError):  # likewise
            client.setblocking(False)
            client.send(msgspec.json.encode(self._word()))


@contextmanager
def answering(paths: Paths, word: Callable[[], Word]) -> Iterator[Answering]:
    """Answers while the block runs. Needs a running loop."""
    open_ = Answering(paths.socket, word)
    open_.open()
    try:
        yield open_
    finally:
        open_.close()


def _listen(path: Path) -> socket.socket:
    """A listening socket under that name, open to its owner alone. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        # By the folder's descriptor: an address holds 108 bytes, a prefix may be longer.
        place = Path(f"/proc/self/fd/{folder}")
        fresh = place / f".{path.name}.new"
        fresh.unlink(missing_ok=True)
        listening.bind(str(fresh))
        fresh.chmod(0o600)
        listening.listen(BACKLOG)
        fresh.rename(place / path.name)  # never there with another mode, and over what a dead one left
    except BaseException:
        listening.close()
        raise
    finally:
        os.close(folder)
    return listening
