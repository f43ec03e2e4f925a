"""A small program in the layout of Logstash's archive, which cannot be had: answers by its API for its pipeline."""

from pathlib import Path

from tests.middleware.archives import Package, cache_folder, made_archive

_SERVER = '''\
#!/usr/bin/python3
import json, os, re, socket, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

folder = sys.argv[sys.argv.index("--path.settings") + 1]
lines = open(f"{folder}/logstash.yml", encoding="utf-8").read().split("\\n")
settings = {k: v for line in lines if line[:1] == '"' for k, v in json.loads("{" + line + "}").items()}
http = "api.http" if "api.http.port" in settings else "http"
pipeline = open(settings["path.config"], encoding="utf-8").read()
if "input" not in pipeline:
    sys.exit("[FATAL] Logstash could not be started: Expected one of input, filter, output")
inputs = [socket.create_server(("127.0.0.1", int(port))) for port in re.findall(r"port => ([0-9]+)", pipeline)]


class Api(BaseHTTPRequestHandler):
    def do_GET(self):
        told = {"host": "host", "status": "green", "pipelines": {"main": {"workers": 1}}}
        said = f"{settings['path.data']}/told"
        if os.path.exists(said):
            told.update(json.load(open(said)))
        self.send_response(told.pop("http", 200))
        self.end_headers()
        self.wfile.write(json.dumps(told, separators=(",", ":")).encode())

    def log_message(self, *_):
        """Quiet."""


ThreadingHTTPServer((settings[f"{http}.host"], settings[f"{http}.port"]), Api).serve_forever()
'''
_JAVA = """\
#!/bin/sh
echo 'openjdk version "21.0.8" (stand-in)' >&2
"""


def logstash_stand_in(version: str = "8.19.4", cache: Path | None = None) -> Package:
    """The stand-in, which says that it is that version."""
    files = {
        "bin/logstash": (_SERVER.encode(), 0o755),
        "config/jvm.options": (b"-Xms1g\n-Xmx1g\n-Djruby.regexp.interruptible=true\n", 0o644),
        "jdk/bin/java": (_JAVA.encode(), 0o755),
        "logstash-core/versions-gem-copy.yml": (
            f"---\nlogstash: {version}\nlogstash-core: {version}\n".encode(),
            0o644,
        ),
    }
    return made_archive("logstash", version, files, (cache or cache_folder()) / "stand-in")
