"""Asking a service by HTTP, and answering one."""

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import TypeVar

from tests.scripts.calling import Service

_Server = TypeVar("_Server", bound=ThreadingHTTPServer)

# Whatever proxy this machine uses, a service on loopback is asked directly.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def body_of(service: Service, path: str) -> str:
    """What a GET of that path on its port is answered with. Raises OSError for an answer that is none."""
    with _opener.open(f"http://127.0.0.1:{service.parameters['port']}{path}", timeout=20) as answer:
        text: str = answer.read().decode()
        return text


@contextmanager
def serving(server: _Server) -> Iterator[_Server]:
    """Answers in a thread until the end of the block."""
    with server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
