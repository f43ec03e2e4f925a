"""Asking the real services: the demo believes their answers, not the page's."""

import socket
import urllib.request
from urllib.error import URLError

TIMEOUT_S = 3.0


def http_text(port: int, path: str = "/") -> str | None:
    """What a local HTTP server answers, or None where nobody does."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=TIMEOUT_S) as answer:
            return str(answer.read().decode("utf-8", "replace"))
    except (URLError, OSError):
        return None


def redis_ask(port: int, *words: str) -> str | None:
    """A local Redis's answer to one command, without its type mark; None where nobody answers."""
    request = f"*{len(words)}\r\n" + "".join(f"${len(w.encode())}\r\n{w}\r\n" for w in words)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as link:
            link.sendall(request.encode())
            return link.recv(65536).decode("utf-8", "replace").strip().lstrip("+:$*")
    except OSError:
        return None
