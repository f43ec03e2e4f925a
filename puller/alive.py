"""`alive`: does the puller run, and does it answer? Asked every minute by agentctl.sh: loads next to nothing, and
needs neither the database nor room on the disk."""

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from puller import disk
from puller.paths import Paths
from puller.release import release_of
from puller.single_flight import holder

DEADLINE_S = 5.0
MAX_BYTES = 65536
EXIT_SERVING, EXIT_NOT_SERVING, EXIT_NOT_RUNNING, EXIT_UNKNOWN = 0, 1, 3, 4
"""As LSB has them for `status` of an init script."""
FACTS = (
    "version",
    "release",
    "up_s",
    "passes",
    "pass_age_s",
    "good_pass_age_s",
    "delivered",
    "undelivered",
    "sink",
    "ready",
    "reason",
    "revision",
)


class NoAnswer(Exception):
    """The puller does not answer. The text says how that showed."""


def alive(paths: Paths) -> tuple[dict[str, Any], int]:
    """Facts in the order in which they are printed, and the exit code. Raises PermissionError for another's puller."""
    pid = holder(paths.lock)
    if pid is None:
        return {"state": "not-running", "message": "no puller runs on this host"}, EXIT_NOT_RUNNING
    try:
        word = ask(paths.socket)
    except NoAnswer as error:
        facts = {"state": "not-serving", "pid": pid, "release": release_of(pid)}
        return facts | {"message": f"{error}{_disk(paths)}"}, EXIT_NOT_SERVING
    facts = {"state": "serving", "pid": pid, **{name: word.get(name) for name in FACTS}}
    return facts | {"message": word.get("message", "")}, EXIT_SERVING


def ask(path: Path) -> dict[str, Any]:
    """What the puller says of itself. Raises NoAnswer, PermissionError."""
    ends_at = time.monotonic() + DEADLINE_S
    try:
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NoAnswer(f"it has no socket: {path.parent} is not there") from error
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            _connect(channel, f"/proc/self/fd/{folder}/{path.name}", ends_at)
            word = json.loads(_read(channel, ends_at))
    except TimeoutError as error:
        raise NoAnswer(f"it does not answer within {DEADLINE_S:g} s: it hangs") from error
    except PermissionError:
        raise
    except (OSError, ValueError) as error:
        raise NoAnswer(f"it does not answer on {path}: {error}") from error
    finally:
        os.close(folder)
    if not isinstance(word, dict):
        raise NoAnswer(f"what answers on {path} is no puller")
    return word


def tell(facts: dict[str, Any]) -> str:
    """The facts as key=value, one a line, as scripts read them."""
    return "".join(f"{name}={_value(value)}\n" for name, value in facts.items())


def _value(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(str(value).split())


def _connect(channel: socket.socket, address: str, ends_at: float) -> None:
    """Connects; waits while others stand before it. Raises TimeoutError, OSError."""
    channel.setblocking(False)
    while True:
        try:
            return channel.connect(address)
        except BlockingIOError:
            if time.monotonic() > ends_at:
                raise TimeoutError from None
            time.sleep(0.02)


def _read(channel: socket.socket, ends_at: float) -> bytes:
    """Everything until the end. Raises TimeoutError, however slowly it drips."""
    data = bytearray()
    while len(data) <= MAX_BYTES:
        channel.settimeout(max(0.001, ends_at - time.monotonic()))
        chunk = channel.recv(4096)
        if not chunk:
            break
        data += chunk
    return bytes(data)


def _disk(paths: Paths) -> str:
    """A disk that takes nothing is often why; it is said here because the puller may not be able to say it."""
    state = disk.seen(paths.state)
    return f"; {disk.words(state, paths.state)}" if state else ""
