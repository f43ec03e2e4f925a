"""A small program in the layout of Kibana's archive: starts in no time and answers for its status. Never as root."""

from pathlib import Path

from tests.middleware.archives import Package, cache_folder, made_archive

_SERVER = '''\
#!/usr/bin/python3
import json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

if os.geteuid() == 0:
    sys.exit("Kibana should not be run as root. Use --allow-root to continue.")
settings = {}
for path in [word for word in sys.argv[1:] if word != "-c"]:
    for line in open(path, encoding="utf-8").read().split("\\n"):
        if line[:1] == '"':
            settings.update(json.loads("{" + line + "}"))


class Status(BaseHTTPRequestHandler):
    def do_GET(self):
        overall = {"level": "available", "summary": "All is well"}
        told = {"name": settings["server.name"], "status": {"overall": overall}}
        said = f"{settings['path.data']}/status"
        if os.path.exists(said):
            told = json.load(open(said))
        self.send_response(told.pop("http", 200))
        self.end_headers()
        self.wfile.write(json.dumps(told, separators=(",", ":")).encode())

    def log_message(self, *_):
        """Quiet."""


ThreadingHTTPServer((settings["server.host"], settings["server.port"]), Status).serve_forever()
'''


def kibana_stand_in(version: str = "8.19.4", cache: Path | None = None) -> Package:
    """The stand-in, which says that it is that version."""
    files = {
        "bin/kibana": (_SERVER.encode(), 0o755),
        "node/bin/node": (b"#!/bin/sh\necho v20.0.0\n", 0o755),
        "package.json": (f'{{"name": "kibana", "version": "{version}"}}\n'.encode(), 0o644),
    }
    return made_archive("kibana", version, files, (cache or cache_folder()) / "stand-in")
