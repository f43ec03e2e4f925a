"""A forward proxy with basic auth: the only way out of a closed network, by CONNECT."""

import base64
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ForwardProxy:
    """A running proxy and the credentials it asks for."""

    address: str = "127.0.0.1"
    port: int
    user: str
    password: str
    names: dict[str, str] = field(default_factory=dict)
    """Names that only this proxy resolves, and their addresses: a client that reaches one went through it."""
    tunnels: list[str] = field(default_factory=list)
    """host:port of each tunnel that was opened."""
    refused: list[str] = field(default_factory=list)
    """host:port of each tunnel that was asked for without the right credentials."""

    @property
    def url(self) -> str:
        """The proxy's URL with its credentials, as in https_proxy."""
        return f"http://{self.user}:{self.password}@{self.address}:{self.port}"

    @property
    def url_without_credentials(self) -> str:
        """The URL that the proxy answers with 407."""
        return f"http://{self.address}:{self.port}"


@contextmanager
def forward_proxy(names: dict[str, str] | None = None, *, address: str = "127.0.0.1") -> Iterator[ForwardProxy]:
    """Run a proxy on that address, in threads of this process, until the block is left."""
    with _Server((address, 0), _ProxyHandler) as server:
        server.proxy = ForwardProxy(
            address=address,
            port=server.server_address[1],
            user="fleet",
            password="only-in-tests",
            names=names or {},
        )
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.proxy
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    proxy: ForwardProxy
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is nothing to print."""


class _ProxyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_CONNECT(self) -> None:
        proxy = self.server.proxy
        expected = base64.b64encode(f"{proxy.user}:{proxy.password}".encode()).decode()
        if self.headers.get("Proxy-Authorization") != f"Basic {expected}":
            proxy.refused.append(self.path)
            self.send_response(407)
            self.send_header("Proxy-Authenticate", 'Basic realm="way out"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((proxy.names.get(host, host), int(port)), timeout=30) as target:
            proxy.tunnels.append(self.path)
            self.send_response(200)
            self.end_headers()
            _relay(self.connection, target)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Tunnels are kept in ForwardProxy, not printed."""


def _relay(client: socket.socket, target: socket.socket) -> None:
    other = {client: target, target: client}
    while True:
        readable, _, _ = select.select([client, target], [], [], 60)
        if not readable:
            return
        for end in readable:
            data = end.recv(65536)
            if not data:
                return
            other[end].sendall(data)
