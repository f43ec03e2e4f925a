"""Real Prometheus finds what runs by asking the backend, with the configuration that docs/monitoring.md shows."""

import json
import re
import subprocess
import tarfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine

from api.principal import COMMAND, Role
from api.services import tokens
from desired_state.catalogue import HostEntry, Placement, ServiceEntry
from tests.api.test_serve import Running, running
from tests.docs.pages import DOCS
from tests.fakes.fleet import PaperFleet
from tests.fakes.host import PaperHost
from tests.middleware.debian import prometheus_archive
from tests.servers.process import ServerProcess, free_port

BLOCKS = re.findall(r"```yaml\n(.*?)```", (DOCS / "monitoring.md").read_text(encoding="utf-8"), re.DOTALL)
CONFIG = next(block for block in BLOCKS if "scrape_configs:" in block)
RULES = next(block for block in BLOCKS if block.startswith("groups:"))


class Exporter(BaseHTTPRequestHandler):
    """A page of metrics."""

    def do_GET(self) -> None:
        """One sample."""
        body = b"a_sample 42\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quietly."""


@contextmanager
def exporting() -> Iterator[int]:
    """The port of a page of metrics."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Exporter) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with prometheus and promtool."""
    folder = tmp_path_factory.mktemp("prometheus")
    with tarfile.open(prometheus_archive().path) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.rglob("promtool")).parent


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Running]:
    """A backend in a process of its own."""
    with running(f"sqlite+aiosqlite:///{tmp_path}/towline.sqlite3", tmp_path / "backend") as served:
        yield served


def report_from(backend: Running, port: int) -> str:
    """Let a host report that node exporter runs there; a token for Prometheus."""
    now = datetime.now(UTC).replace(microsecond=0)
    entry = ServiceEntry(
        service="node-exporter",
        kind="node_exporter",
        version="1.9.0",
        parameters={"port": port},
        placement=Placement(all=True),
    )

    async def tell(engine: AsyncEngine) -> str:
        fleet, paper = PaperFleet(engine, now), PaperHost("web-1.fra")
        host = HostEntry(host="web-1.fra", labels={"site": "fra"})
        await fleet.change("Watched", "ana", now, entry, host)
        await fleet.enrol("web-1.fra")
        await fleet.roll_out(paper, now)
        status = replace(paper.status(now), address="127.0.0.1")
        await fleet.ingest(paper.report(now, status), seen_at=now)
        scopes = ("metrics:read",)
        made = await tokens.create(engine, COMMAND, name="prometheus", role=Role.VIEWER, scopes=scopes, now=now)
        return made.secret

    secret: str = backend._within(tell)
    return secret


def configured(folder: Path, backend: Running, token: str) -> Path:
    """The page's configuration, for this backend: its addresses, http, and a quicker pace."""
    (folder / "token").write_text(token)
    text = CONFIG.replace("/etc/prometheus/towline-token", str(folder / "token"))
    text = text.replace("https://towline.example.org", f"http://127.0.0.1:{backend.port}").replace("1m", "1s")
    text = text.replace("towline.example.org:443", f"127.0.0.1:{backend.port}").replace("scheme: https", "scheme: http")
    file = folder / "prometheus.yml"
    file.write_text(f"global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [rules.yml]\n{text}")
    (folder / "rules.yml").write_text(RULES)
    return file


def asked(port: int, expression: str) -> list[dict[str, Any]]:
    """What Prometheus answers; nothing while it starts."""
    url = f"http://127.0.0.1:{port}/api/v1/query?{urlencode({'query': expression})}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            found: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
            return found
    except (urllib.error.URLError, ConnectionError):
        return []


def awaited(port: int, expression: str) -> list[dict[str, Any]]:
    """What it answers once it has something, within a minute."""
    end = time.monotonic() + 60
    while not (found := asked(port, expression)) and time.monotonic() < end:
        time.sleep(0.1)
    return found


def test_promtool_takes_the_page(programs: Path, backend: Running, tmp_path: Path) -> None:
    """Configuration and rules pass Prometheus's own check."""
    file = configured(tmp_path, backend, "token")
    for what, path in (("config", file), ("rules", tmp_path / "rules.yml")):
        done = subprocess.run([programs / "promtool", "check", what, path], capture_output=True, text=True, check=False)
        assert 0 == done.returncode, done.stdout + done.stderr


def test_prometheus_finds_and_scrapes_what_runs(programs: Path, backend: Running, tmp_path: Path) -> None:
    """The sample of the exporter comes with host, service, kind and labels of the host; the backend's come too."""
    with exporting() as exporter:
        file = configured(tmp_path, backend, report_from(backend, exporter))
        port = free_port()
        command = [
            str(programs / "prometheus"),
            f"--config.file={file}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        process = ServerProcess(command, log=tmp_path / "prometheus.log")
        try:
            (found,) = awaited(port, "a_sample")
            expected = {
                "__name__": "a_sample",
                "job": "towline",
                "instance": "web-1.fra",
                "host": "web-1.fra",
                "service": "node-exporter",
                "kind": "node_exporter",
                "label_site": "fra",
            }
            assert (expected, "42") == (found["metric"], found["value"][1])
            assert awaited(port, 'towline_hosts{standing="converged"}')
        finally:
            process.stop()
