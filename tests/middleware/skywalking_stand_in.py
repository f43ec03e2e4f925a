#!/usr/bin/env python3
"""Stands in for Java where SkyWalking is to be run: reads the same files, listens on the same ports, answers the same
question. Becomes bin/java of a test archive; the real one takes long to start."""

# ruff: noqa: EXE001

import re
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

if sys.argv[1:] == ["-version"]:
    sys.exit(print('openjdk version "17.0.0"', file=sys.stderr))
IS_UI = sys.argv[-1].endswith("ApplicationStartUp")
FOLDER = Path(sys.argv[sys.argv.index("-cp") + 1].split(":")[0])
TEXT = (FOLDER / "application.yml").read_text()
VERSION = next(iter(FOLDER.parent.parent.glob("current/oap-libs/server-core-*.jar"))).stem.removeprefix("server-core-")


def said(name: str) -> str:
    """A value of application.yml, without what YAML puts round it."""
    found = re.search(rf"^ *{name}: *(.*)$", TEXT, re.MULTILINE)
    return found[1].strip("'\"") if found else ""


class Well(BaseHTTPRequestHandler):
    """Answers as if all were well, or with what a test has put beside the data."""

    def do_GET(self) -> None:
        """The page of the UI."""
        self.answer(200, b"<!doctype html><title>stands in</title>")

    def do_POST(self) -> None:
        """The query for the version."""
        self.rfile.read(int(self.headers["Content-Length"]))
        words = Path("answer")
        self.answer(200, words.read_bytes() if words.exists() else b'{"data":{"version":"%s"}}' % VERSION.encode())

    def answer(self, status: int, body: bytes) -> None:
        """The whole of one."""
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
if IS_UI:
    ThreadingHTTPServer(("127.0.0.1", int(said("serverPort"))), Well).serve_forever()
else:
    address = (said("gRPCHost"), int(said("gRPCPort")))
    agents = socket.create_server(address)
    ThreadingHTTPServer((said("restHost"), int(said("restPort"))), Well).serve_forever()
