"""A real HTTP server on loopback whose every answer, and every way of breaking off, is the test's."""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Exchange:
    """One request, and the means to answer it."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._handler = handler
        self.method = handler.command
        self.target = handler.path
        self.headers = {name.lower(): value for name, value in handler.headers.items()}
        self.body = handler.rfile.read(int(self.headers.get("content-length", "0")))

    def answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """A complete answer. A Content-Length in `headers` replaces the true one."""
        self.begin(status, {"Content-Length": str(len(body)), **(headers or {})})
        self.write(body)

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self._handler.send_response(status)
        for name, value in headers.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()

    def write(self, data: bytes) -> None:
        self._handler.wfile.write(data)

    def cut(self) -> None:
        """Closes the connection now."""
        self._handler.close_connection = True
        self._handler.connection.shutdown(2)


class HttpServer:
    """Where it listens, and what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Exchange] = []
        self.connections = 0
        self.ending = threading.Event()
        """Set when the test is over: whoever keeps a client waiting lets go."""


@contextmanager
def serving(respond: Callable[[Exchange], None], tls: ssl.SSLContext | None = None) -> Iterator[HttpServer]:
    """A server for the length of a test."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def setup(self) -> None:
            super().setup()
            served.connections += 1

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:  # the client left, as some tests want it to
                self.close_connection = True

        def _serve(self) -> None:
            exchange = Exchange(self)
            served.asked.append(exchange)
            respond(exchange)

        do_GET = do_POST = do_HEAD = do_CONNECT = _serve  # noqa: N815 - the base class looks for these names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    server.block_on_close = False
    served = HttpServer(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        served.ending.set()
        server.shutdown()
        server.server_close()
        thread.join()
