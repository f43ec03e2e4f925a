"""What stands in for ZooKeeper where the real one takes long to start: upstream's layout, and four-letter words."""

from pathlib import Path

from tests.middleware.archives import Package, made_archive

_JAVA = '''\
#!/usr/bin/env python3
"""Stands in for Java: a ZooKeeper that is alone, as its zoo.cfg says, and says so to `srvr`."""
import signal
import socketserver
import sys
from pathlib import Path

if sys.argv[1:] == ["-version"]:
    sys.exit(print('openjdk version "17.0.0"', file=sys.stderr))
lines = Path(sys.argv[-1]).read_text(encoding="ascii").splitlines()
said = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


class Words(socketserver.BaseRequestHandler):
    def handle(self):
        word = self.request.recv(4).decode("ascii", "replace")
        listed = word in said["4lw.commands.whitelist"].split(", ")
        self.request.sendall(b"Mode: standalone\\n" if listed else b"is not in the whitelist.\\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


Path(said["dataDir"], "version-2").mkdir(exist_ok=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
Server((said["clientPortAddress"], int(said["clientPort"])), Words).serve_forever()
'''


def stand_in_for_zookeeper(version: str, cache: Path | None = None) -> dict[str, Package]:
    """The server's folders and names, and the Java that is none."""
    server = {f"lib/zookeeper-{version}.jar": (b"", 0o644), "conf/zoo_sample.cfg": (b"", 0o644)}
    return {
        "server": made_archive("stand-in-zookeeper", version, server, cache),
        "jdk": made_archive("stand-in-java-of-zookeeper", "17.0.0", {"bin/java": (_JAVA.encode(), 0o755)}, cache),
    }
