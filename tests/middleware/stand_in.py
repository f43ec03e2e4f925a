"""Archives that stand in where the real program takes long to start: upstream's layout, and a tiny server behind it.

What a script does with a service on the JVM is the same with one that is up in a moment, so the conformance run takes
these; `nox -s middleware` runs the real ones.
"""

from pathlib import Path

from tests.middleware.archives import Package, made_archive

_JAVA = '''\
#!/usr/bin/env python3
"""Stands in for Java: serves what the program that it is to run would serve, and answers as if all were well."""
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

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
        with open(f"{home}/posted", "ab") as posted:
            posted.write(self.path.encode() + b" " + self.rfile.read(int(self.headers["Content-Length"])) + b"\\n")
        self.answer(200, told("answer", b'{"code":0,"message":"success"}'))

    def answer(self, status, body):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)


address = said.get("server.address", "127.0.0.1")
web = int(said.get("server.port") or said["nacos.server.main.port"])
if "nacos.home" in said:
    gRPC = socket.create_server((address, web + 1000))
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
