"""A small program in the layout of Elasticsearch's archive: starts in no time, answers for the health of its cluster.

It is as hard to please as the real one where a script could go wrong: a launcher with a child that listens, never as
root, settings and secure settings read from the folder of its configuration, users who must log in.
"""

from pathlib import Path

from tests.middleware.archives import Package, cache_folder, made_archive

_SERVER = '''\
#!/usr/bin/python3
"""The launcher; with the argument `server`, what it launches."""
import base64, json, os, signal, subprocess, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

if os.geteuid() == 0:
    sys.exit("java.lang.RuntimeException: can not run elasticsearch as root")
folder = os.environ["ES_PATH_CONF"]
if sys.argv[1:2] != ["server"]:
    child = subprocess.Popen([sys.executable, __file__, "server", *sys.argv[1:]], stdin=subprocess.PIPE)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    child.wait()
    sys.exit(143 if child.returncode == -signal.SIGTERM else child.returncode)
lines = [line for line in open(f"{folder}/elasticsearch.yml", encoding="utf-8").read().split("\\n") if line[:1] == '"']
settings = dict(list(json.loads("{" + line + "}").items())[0] for line in lines)
stored = open(f"{folder}/elasticsearch.keystore", encoding="utf-8").read().splitlines()[1:]
secure = dict(line.split("=", 1) for line in stored)
os.makedirs(settings["path.data"] + "/_state", exist_ok=True)
threading.Thread(target=lambda: (sys.stdin.read(), os.kill(os.getpid(), signal.SIGTERM)), daemon=True).start()


def kept():
    file = f"{settings['path.data']}/settings"
    return json.load(open(file)) if os.path.exists(file) else {}


class Node(BaseHTTPRequestHandler):
    def do_PUT(self):
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["persistent"]
        held = {**kept(), **told}
        with open(f"{settings['path.data']}/settings", "w") as file:
            json.dump({name: value for name, value in held.items() if value is not None}, file)
        self.do_GET()

    def do_GET(self):
        user = base64.b64encode(b"elastic:" + secure.get("bootstrap.password", "").encode()).decode()
        open_to_all = settings.get("xpack.security.enabled") is not True
        allowed = open_to_all or self.headers.get("Authorization") == f"Basic {user}"
        told = {"cluster_name": settings["cluster.name"], "status": "green", "timed_out": False, "number_of_nodes": 1,
                "initializing_shards": 0, "unassigned_shards": 0}
        said = f"{settings['path.data']}/health"
        if os.path.exists(said):
            told.update(json.load(open(said)))
        if self.path.startswith("/_cluster/settings"):
            told = {"persistent": kept(), "transient": {}}
        self.send_response(told.pop("http", 200) if allowed else 401)
        self.end_headers()
        self.wfile.write(json.dumps(told, separators=(",", ":")).encode() if allowed else b"{}")

    def log_message(self, *_):
        """Quiet."""


ThreadingHTTPServer((settings["http.host"], int(settings["http.port"])), Node).serve_forever()
'''
_KEYSTORE = """\
#!/usr/bin/python3
import os, sys

path = os.environ["ES_PATH_CONF"] + "/elasticsearch.keystore"
if sys.argv[1] == "create":
    open(path, "w").write("keystore of the stand-in\\n")
else:
    open(path, "a", encoding="utf-8", newline="").write(f"{sys.argv[-1]}={sys.stdin.buffer.read().decode()}\\n")
"""
_JAVA = """\
#!/bin/sh
echo 'openjdk version "21.0.8" (stand-in)' >&2
"""


def elasticsearch_stand_in(version: str = "8.19.4", cache: Path | None = None) -> Package:
    """The stand-in, which says that it is that version."""
    files = {
        "bin/elasticsearch": (_SERVER.encode(), 0o755),
        "bin/elasticsearch-keystore": (_KEYSTORE.encode(), 0o755),
        "config/jvm.options": (b"-Xms1g\n-Xmx1g\n-XX:+UseG1GC\n-Xlog:gc*:file=logs/gc.log\n", 0o644),
        "jdk/bin/java": (_JAVA.encode(), 0o755),
        f"lib/elasticsearch-{version}.jar": (b"", 0o644),
        "modules/x-pack-security/plugin-descriptor.properties": (b"", 0o644),
    }
    return made_archive("elasticsearch", version, files, (cache or cache_folder()) / "stand-in")
