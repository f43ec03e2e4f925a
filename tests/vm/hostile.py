"""Those who mean harm: a server that gives what it likes, and archives that reach out of their folder."""

import gzip
import io
import ssl
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PROOF = "/srv/it-ran"
"""What every hostile program here makes, if it is ever run."""
SCRIPT = f"#!/bin/bash\ntouch {PROOF}\n".encode()


class Impostor:
    """A running server, and what it was asked for."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []


@contextmanager
def impostor(
    address: str, answer: Callable[[str], bytes | None], *, port: int = 0, tls: tuple[Path, Path] | None = None
) -> Iterator[Impostor]:
    """Serves what `answer` gives for a path (None: 404), with this certificate and key, until the block is left."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.asked.append(self.path)
            body = answer(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body or b"")

        do_HEAD = do_GET  # noqa: N815 - the names are http.server's
        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
            """Nothing to print."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that does not trust us goes away: nothing to print."""

    with Quiet((address, port), Answering) as server:
        told = Impostor(server.server_address[1])
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            # The handshake is made in the connection's own thread.
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()


def members(good: Mapping[str, bytes]) -> dict[str, Callable[[tarfile.TarFile], None]]:
    """Ways to make an archive hostile, by name; `good` are members that make the rest of it look like an agent."""

    def file(
        name: str, content: bytes = SCRIPT, mode: int = 0o755, **more: object
    ) -> tuple[tarfile.TarInfo, io.BytesIO]:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), mode
        for key, value in more.items():
            setattr(member, key, value)
        return member, io.BytesIO(content)

    def with_good(*extra: tuple[tarfile.TarInfo, io.BytesIO]) -> Callable[[tarfile.TarFile], None]:
        def add(tar: tarfile.TarFile) -> None:
            for name, content in good.items():
                tar.addfile(*file(name, content))
            for member, stream in extra:
                tar.addfile(member, stream)

        return add

    link = file("lib/out", b"", type=tarfile.SYMTYPE, linkname="/etc/cron.d")
    return {
        "traversal": with_good(file("../../../../../../etc/cron.d/evil")),
        "absolute": with_good(file("/etc/cron.d/evil")),
        "symlink": with_good(link, file("lib/out/evil")),
        "hardlink": with_good(file("lib/shadow", b"", type=tarfile.LNKTYPE, linkname="/etc/shadow")),
        "device": with_good(file("lib/disk", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=3)),
        "setuid": with_good(file("bin/shell", mode=0o4755)),
        "no agent": lambda tar: tar.addfile(*file("bin/towline-puller")),
    }


def archive(path: Path, add: Callable[[tarfile.TarFile], None]) -> Path:
    """A tar.gz whose members `add` puts in."""
    with gzip.open(path, "wb") as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        add(tar)
    return path


def bomb(path: Path, size_gib: int = 3) -> Path:
    """A few MiB that would become GiB."""
    block = bytes(1 << 20)
    with gzip.open(path, "wb", compresslevel=9) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        member = tarfile.TarInfo("lib/zeros")
        member.size = size_gib << 30
        tar.addfile(member, _Zeros(member.size, block))
    return path


class _Zeros(io.RawIOBase):
    def __init__(self, size: int, block: bytes) -> None:
        self._left, self._block = size, block

    def read(self, size: int = -1) -> bytes:
        count = min(self._left, len(self._block), size if size >= 0 else self._left)
        self._left -= count
        return self._block[:count]
