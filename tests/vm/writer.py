"""A client that writes one number after the other, and counts what was acknowledged; run in a VM's network namespace.

writer.py redis HOST PORT         writes until a line comes; prints {"acknowledged": N, "longest_pause_s": S}
writer.py redis HOST PORT COUNT   prints those of the numbers 1 to COUNT that are not there

The first line of its input is the password. An attempt whose answer never came is not acknowledged: the number
is tried again until it is, as an application would.
"""

import json
import select
import socket
import sys
import time
from collections.abc import Callable
from typing import Protocol

WAITS_S = 3.0


class Store(Protocol):
    """Where numbers are written; any error means that nothing is known of the last one."""

    def write(self, number: int) -> None:
        """Returns when the number is acknowledged."""

    def has(self, number: int) -> bool:
        """Whether it is there."""


class Redis:
    """By its own protocol."""

    def __init__(self, host: str, port: int, password: str) -> None:
        self._line = socket.create_connection((host, port), timeout=WAITS_S)
        self._answers = self._line.makefile("rb")
        self._ask("AUTH", password)

    def write(self, number: int) -> None:
        if self._ask("SET", f"n{number}", "here") != "+OK":
            raise ConnectionError("not written")

    def has(self, number: int) -> bool:
        return self._ask("EXISTS", f"n{number}") == ":1"

    def _ask(self, *words: str) -> str:
        packed = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        self._line.sendall(f"*{len(words)}\r\n{packed}".encode())
        answer = self._answers.readline().decode().strip()
        if not answer or answer.startswith("-"):
            raise ConnectionError(answer or "closed")
        return answer


def write(connect: Callable[[], Store]) -> dict[str, object]:
    """Until the input ends."""
    acknowledged: list[int] = []
    last, longest = time.monotonic(), 0.0
    store: Store | None = None
    while not select.select([sys.stdin], [], [], 0)[0]:
        try:
            store = store or connect()
            store.write(len(acknowledged) + 1)
        except Exception:  # noqa: BLE001 - whatever it is, it is tried again
            store = None
            time.sleep(0.05)
            continue
        acknowledged.append(len(acknowledged) + 1)
        last, longest = time.monotonic(), max(longest, time.monotonic() - last)
        time.sleep(0.002)
    return {"acknowledged": len(acknowledged), "longest_pause_s": round(longest, 2)}


def main() -> None:
    """As the arguments say."""
    kind, host, port, *rest = sys.argv[1:]
    password = sys.stdin.readline().rstrip("\n")
    kinds: dict[str, Callable[[], Store]] = {"redis": lambda: Redis(host, int(port), password)}
    made = kinds[kind]
    if rest:
        store, count = made(), int(rest[0])
        print(json.dumps([number for number in range(1, count + 1) if not store.has(number)]))
    else:
        print(json.dumps(write(made)))


if __name__ == "__main__":
    main()
