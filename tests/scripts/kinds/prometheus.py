"""Prometheus."""

import json
import os
import signal
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

from tests.middleware import prometheus_archive
from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.case import Case, Real, Software
from tests.scripts.kinds.http import body_of, serving
from tests.scripts.kinds.together import start_together
from tests.servers.process import free_port

RULES = """\
groups:
- name: hosts
  rules:
  - alert: TargetDown
    expr: up == 0
    for: 5m
    labels: { severity: page }
"""


def query(service: Service, expression: str, at: float | None = None) -> list[tuple[dict[str, str], str]]:
    """What an expression comes to, now or at a time: labels and value of each series."""
    asked = {"query": expression} | ({} if at is None else {"time": f"{at:.3f}"})
    answer = json.loads(body_of(service, f"/api/v1/query?{urlencode(asked)}"))
    return [(one["metric"], one["value"][1]) for one in answer["data"]["result"]]


def _probe(service: Service) -> str:
    """Its version by its API, and that it works an expression out."""
    built = json.loads(body_of(service, "/api/v1/status/buildinfo"))["data"]["version"]
    assert query(service, "vector(1) + 1") == [({}, "2")]
    return f"GET /api/v1/status/buildinfo: {built.partition('+')[0]}; a query is answered"


def _write(service: Service) -> None:
    """Waits for a sample of its own, and remembers when that was."""
    assert eventually(30, lambda: query(service, 'up{job="prometheus"} == 1') != [])
    (service.folder / "sampled-at").write_text(str(time.time()))


def _read(service: Service) -> bool:
    at = float((service.folder / "sampled-at").read_text())
    return query(service, 'up{job="prometheus"} == 1', at) != []


def _file(name: str) -> Callable[[Service], str]:
    return lambda service: (service.root / "etc" / name).read_bytes().decode()


def _software(version: str) -> Software:
    return Software(name="Prometheus", version=version, packages=lambda: {"server": prometheus_archive(version)})


class _Alertmanager(ThreadingHTTPServer):
    """Takes alerts as Alertmanager does, and remembers who sent which labels."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Alerts)
        self.told: dict[str, set[str]] = {}
        """By the address of the sender's own page: the labels of its alerts."""


class _Alerts(BaseHTTPRequestHandler):
    server: _Alertmanager

    def do_POST(self) -> None:
        alerts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for alert in alerts:
            sender = alert["generatorURL"].partition("/graph")[0]
            self.server.told.setdefault(sender, set()).add(json.dumps(alert["labels"], sort_keys=True))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


_ALWAYS = """\
groups:
- name: pair
  rules:
  - alert: Told
    expr: vector(1)
"""


def _pair(software: Software, folder: Path, alertmanager: str) -> list[Service]:
    """Two that scrape the same targets, each other among them, as their documents tell them."""
    ports = [free_port(), free_port()]
    targets = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    return [
        Service(
            kind="prometheus",
            name=f"metrics-{replica}",
            folder=folder,
            version=software.version,
            packages=software.packages(),
            parameters={
                "port": str(port),
                "scrape_interval": "1s",
                "scrape_timeout": "1s",
                "evaluation_interval": "1s",
                "self_scrape": "false",
                "scrape_configs": f"- job_name: pair\n  static_configs: [{{ targets: [{targets}] }}]",
                "rules": _ALWAYS,
                "alertmanagers": alertmanager,
                "external_labels": "site=one",
                "external_url": f"http://127.0.0.1:{port}",
                "replica": replica,
            },
        )
        for replica, port in zip("ab", ports, strict=True)
    ]


def _ups(service: Service, at: float | None = None) -> list[str]:
    """Whether each of the pair is up, as this one knows it."""
    return sorted(value for _, value in query(service, 'up{job="pair"}', at))


def cluster(software: Software, folder: Path) -> str:
    """Both see the same and alert in the same words; one of them killed, the other one misses nothing."""
    with serving(_Alertmanager()) as alertmanager:
        pair = _pair(software, folder, f"127.0.0.1:{alertmanager.server_address[1]}")
        first, second = pair
        for one in pair:
            one.do("install", "configure")
        start_together(pair)
        assert eventually(60, lambda: all(_ups(one) == ["1", "1"] for one in pair)), "they do not see each other"
        assert eventually(60, lambda: len(alertmanager.told) == len(pair)), "not both of them alert"
        labels = set.union(*alertmanager.told.values())
        assert labels == {'{"alertname": "Told", "site": "one"}'}, labels
        before = time.time()
        os.kill(first.process(), signal.SIGKILL)
        assert eventually(60, lambda: _ups(second) == ["0", "1"]), "nobody notices the lost one"
        lost = time.time()
        assert first.state_now() == "stopped"
        assert second.state_now() == "running"
        start_together([first])
        assert eventually(60, lambda: all(_ups(one) == ["1", "1"] for one in pair)), "it does not come back"
        assert _ups(first, before) == ["1", "1"], "it has lost its samples"
        assert _ups(second, lost) == ["0", "1"]
    return (
        "a pair: both sample the same targets, and their alerts are equal, label for label; one killed with -9, the "
        "other samples on and says that it is down; it comes back with its samples"
    )


CASE = Case(
    version="2.53.3",
    packages=lambda: {"server": prometheus_archive("2.53.3")},
    parameters=lambda port: {
        "port": str(port),
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "sd_url": "http://127.0.0.1:9/v1/prometheus/targets",
        "rules": RULES,
    },
    secrets={"sd_token": "canary-of-prometheus-%41$(id)"},
    secret_files=frozenset({"etc/sd_token"}),
    bad=(
        ("port", "0"),
        ("bind", "localhost"),
        ("external_url", "prometheus.example"),
        ("retention", "1s"),
        ("retention_size", "1kb"),
        ("scrape_timeout", "2s"),
        ("sd_url", "file:///etc/passwd"),
        ("sd_ca_file", "ca.pem"),
        ("alertmanagers", "alerts"),
        ("external_labels", "a-b=c"),
        ("extra", "--storage.tsdb.path=/"),
        ("extra", "--nope"),
        ("self_scrape", "yes"),
        ("colour", "blue"),
    ),
    arrives={
        "rules": _file("rules.yml"),
        "sd_token": lambda service: (service.root / "etc/sd_token").read_text("utf-8").partition("\n")[0],
    },
    real=Real(
        software=(_software("2.42.0"), _software("2.53.3"), _software("3.5.3")),
        probe=_probe,
        write=_write,
        read=_read,
        restarted={"retention": "30d", "retention_size": "1gb"},
        reloaded={"evaluation_interval": "45s", "external_labels": "site=one", "replica": "a"},
        cluster=cluster,
        cost_s=90,
    ),
)
