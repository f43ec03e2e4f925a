"""Asking a service by HTTP."""

import urllib.request

from tests.scripts.calling import Service

# Whatever proxy this machine uses, a service on loopback is asked directly.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def body_of(service: Service, path: str) -> str:
    """What a GET of that path on its port is answered with. Raises OSError for an answer that is none."""
    with _opener.open(f"http://127.0.0.1:{service.parameters['port']}{path}", timeout=20) as answer:
        text: str = answer.read().decode()
        return text
