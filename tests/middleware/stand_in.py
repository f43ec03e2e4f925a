"""Archives that stand in where the real program takes long to start: upstream's layout, and a tiny server behind it.

What a script does with a service on the JVM is the same with one that is up in a moment, so the conformance run takes
these; `nox -s middleware` runs the real ones.
"""

from pathlib import Path

from tests.middleware.archives import Package, made_archive

_JAVA = '''\
#!/usr/bin/env python3
"""Stands in for Java: serves what the program that it is to run would serve, and answers as if all were well."""
import base64
import hashlib
import hmac
import json
import re
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs

if sys.argv[1:] == ["-version"]:
    sys.exit(print('openjdk version "17.0.0"', file=sys.stderr))
said = {}
for word in sys.argv[1:]:
    name, _, value = word.removeprefix("--").removeprefix("-D").partition("=")
    said[name] = value
folder = (said.get("spring.config.additional-location") or said["spring.config.location"]).removeprefix("file:")
with open(folder + "application.properties", encoding="ascii") as lines:
    said |= dict(line.rstrip("\\n").split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


home = said.get("nacos.home") or said.get("user.home", ".")


def told(name, otherwise):
    """What a test has put into its home, for it to say."""
    try:
        with open(f"{home}/{name}", "rb") as text:
            return text.read()
    except FileNotFoundError:
        return otherwise


def digest(password):
    return hashlib.sha256(password.encode()).hexdigest().encode()


def kept():
    """The password of the user nacos, which nobody can read: none before it is set, or the one of upstream's tables."""
    return told("password", digest("nacos") if OLD else None)


def keep(password):
    with open(f"{home}/password", "wb") as users:
        users.write(digest(password))


def signed(header):
    """A login of the user nacos, by whoever has the secret."""
    text, _, signature = header.removeprefix("Bearer ").rpartition(".")
    key = base64.b64decode(said["nacos.core.auth.plugin.nacos.token.secret.key"])
    right = base64.urlsafe_b64encode(hmac.digest(key, text.encode(), "sha256")).decode().rstrip("=")
    if text.partition(".")[0] != "eyJhbGciOiJIUzI1NiJ9" or not hmac.compare_digest(right, signature):
        return False
    claims = json.loads(base64.urlsafe_b64decode(text.partition(".")[2] + "=="))
    return claims["sub"] == "nacos" and claims["exp"] >= time.time()


class Well(BaseHTTPRequestHandler):
    def do_GET(self):
        key = said.get("nacos.core.auth.server.identity.key", "")
        if self.path.endswith("/cluster/nodes"):
            allowed = self.headers.get(key) == said.get("nacos.core.auth.server.identity.value")
            self.answer(*((200, told("nodes", b"[]")) if allowed else (403, b"who are you?")))
        elif self.path.endswith("/version"):
            self.answer(200, told("version", b"no version"))
        else:
            self.answer(int(told("status", b"200")), told("words", b"OK"))

    def do_POST(self):
        form = self.form()
        if self.path.endswith("/login"):
            self.login(form)
        elif self.path.endswith("/admin") and not OLD:
            if kept() is None:
                self.change(form["password"])
            else:
                self.answer(200, b'{"code":409,"message":"have admin user cannot use it.","data":null}')
        else:
            self.answer(404, b"")

    def do_PUT(self):
        form = self.form()
        if not signed(self.headers.get("Authorization", "")):
            self.answer(403, b'{"status":403,"error":"Forbidden"}')
        else:
            self.change(form["newPassword"])

    def change(self, password):
        """As it is told; a test may have it refused."""
        with open(f"{home}/asked", "a") as asked:
            asked.write(f"{self.command} {self.path}\\n")
        refused = told("refuses", None)
        if refused is None:
            keep(password)
        self.answer(200, refused or b'{"code":%d,"message":"success"}' % (0 if THREE else 200))

    def form(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        return {name: values[0] for name, values in parse_qs(text).items()}

    def login(self, form):
        if kept() is None:
            self.answer(500, b"caused: User nacos not found;")
        elif (form["username"], digest(form["password"])) == ("nacos", kept()):
            self.answer(200, b'{"accessToken":"a","tokenTtl":18000,"globalAdmin":true,"username":"nacos"}')
        elif THREE:
            self.answer(403, b"User not found! Please check user exist or password is right!")
        else:
            self.wfile.write(b"HTTP/1.1 0 \\r\\n\\r\\n")

    def answer(self, status, body):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)


def series():
    """Of Nacos, as its jar tells it."""
    with open(sys.argv[sys.argv.index("-jar") + 1], "rb") as jar:
        found = re.search(rb"nacos-core-([0-9]+)\\.([0-9]+)\\.", jar.read())
    return tuple(map(int, found.groups()))


THREE, OLD = "nacos.home" in said and series() >= (3, 0), "nacos.home" in said and series() < (2, 4)
address = said.get("server.address", "127.0.0.1")
web = int(said.get("server.port") or said["nacos.server.main.port"])
if "nacos.home" in said:
    gRPC = socket.create_server((address, web + 1000))
if THREE:
    console = ThreadingHTTPServer((address, int(said["nacos.console.port"])), Well)
    Thread(target=console.serve_forever, daemon=True).start()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
ThreadingHTTPServer((address, web), Well).serve_forever()
'''


def stand_in_java_archive(cache: Path | None = None) -> Package:
    """Calls itself Java 17."""
    return made_archive("stand-in-java", "17.0.0", {"bin/java": (_JAVA.encode(), 0o755)}, cache)


_TABLES = """\
/* as upstream's file is written */
CREATE TABLE `config_info` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT COMMENT 'id',
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8 COLLATE=utf8_bin COMMENT='配置';
CREATE TABLE `users` (
	`username` varchar(50) NOT NULL PRIMARY KEY COMMENT 'username'
);
INSERT INTO users (username) VALUES ('nacos');
"""


def stand_in_nacos_archive(version: str, cache: Path | None = None) -> Package:
    """Nacos' folders and names; for the stand-in of Java."""
    files = {
        "target/nacos-server.jar": (f"BOOT-INF/lib/nacos-core-{version}.jar".encode(), 0o644),
        "conf/nacos-logback.xml": (b"<configuration/>", 0o644),
        "conf/mysql-schema.sql": (_TABLES.encode(), 0o644),
    }
    return made_archive("stand-in-nacos", version, files, cache)


def stand_in_sentinel_archive(version: str, cache: Path | None = None) -> Package:
    """The dashboard's jar, in name; for the stand-in of Java."""
    jar = f"BOOT-INF/lib/sentinel-core-{version}.jar".encode()
    return made_archive("stand-in-sentinel", version, {f"sentinel-dashboard-{version}.jar": (jar, 0o644)}, cache)
