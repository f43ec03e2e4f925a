"""A bare repository over https: git's own http-backend behind TLS from a private authority, with basic auth."""

import base64
import os
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

from tests.servers.certificates import PrivateCa
from tests.servers.git_repository import BareRepository

NAME = "git.towline.test"
"""A name that no resolver knows: only through the forward proxy of the tests can it be reached."""


@dataclass(frozen=True, kw_only=True)
class GitOverHttps:
    """A served repository and all that a client needs to reach it."""

    repository: BareRepository
    port: int
    url: str
    user: str
    password: str
    ca_pem: Path
    """The private authority's certificate, which a client must trust for this server and for nothing else."""
    requests: list[str] = field(default_factory=list)
    """Each request that was let in, as "METHOD path protocol", the last one at the end."""

    @property
    def url_behind_proxy(self) -> str:
        """The same repository under a name that only the forward proxy can reach."""
        return f"https://{NAME}:{self.port}/{self.repository.path.name}"


@contextmanager
def git_over_https(folder: Path) -> Iterator[GitOverHttps]:
    """Serve one repository on loopback, in threads of this process, until the block is left."""
    authority = PrivateCa(folder / "tls")
    repository = BareRepository(folder / "repositories" / "desired.git")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("localhost", "127.0.0.1", NAME))
    with _Server(("127.0.0.1", 0), _GitHandler) as server:
        port = server.server_address[1]
        server.context = context
        server.git = GitOverHttps(
            repository=repository,
            port=port,
            url=f"https://127.0.0.1:{port}/{repository.path.name}",
            user="reader",
            password="only-on-loopback",
            ca_pem=authority.pem,
        )
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.git
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    context: ssl.SSLContext
    git: GitOverHttps
    # A client that keeps its connection open must not hold up the end of a test.
    daemon_threads = True
    block_on_close = False

    def finish_request(self, request: Any, client_address: Any) -> None:
        # The handshake belongs to the connection's own thread: one silent client must not stop the others.
        request.settimeout(30)
        try:
            secured = self.context.wrap_socket(request, server_side=True)
        except (ssl.SSLError, ConnectionError, TimeoutError):
            return  # The client does not trust us: its error is what the test looks at.
        with secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is nothing to print."""


class _GitHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
        """Requests are kept in GitOverHttps.requests, not printed."""

    def _answer(self) -> None:
        git = self.server.git
        with tempfile.TemporaryFile() as body:
            self._read_body(body)
            expected = base64.b64encode(f"{git.user}:{git.password}".encode()).decode()
            if self.headers.get("Authorization") != f"Basic {expected}":
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="git"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            git.requests.append(f"{self.command} {self.path} {self.headers.get('Git-Protocol', 'version=0')}")
            self._run_backend(body)

    def _read_body(self, body: IO[bytes]) -> None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body.write(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        else:
            body.write(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        body.flush()

    def _run_backend(self, body: IO[bytes]) -> None:
        environment = self._cgi_environment(body.tell())
        body.seek(0)
        with subprocess.Popen(["git", "http-backend"], stdin=body, stdout=subprocess.PIPE, env=environment) as backend:
            assert backend.stdout is not None
            headers = dict(_cgi_headers(backend.stdout))
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            # http-backend knows no length beforehand.
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while part := backend.stdout.read(65536):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")

    def _cgi_environment(self, size: int) -> dict[str, str]:
        path, _, query = self.path.partition("?")
        return {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server.git.repository.path.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(size),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_USER": self.server.git.user,
            "REMOTE_ADDR": self.client_address[0],
        }


def _cgi_headers(stream: IO[bytes]) -> Iterator[tuple[str, str]]:
    while line := stream.readline().strip().decode():
        name, _, value = line.partition(": ")
        yield name, value
