"""Prometheus."""

import json
import time
from collections.abc import Callable
from urllib.parse import urlencode

from tests.middleware import prometheus_archive
from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.case import Case, Real, Software
from tests.scripts.kinds.http import body_of

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
        software=(_software("2.42.0"), _software("2.53.3")),
        probe=_probe,
        write=_write,
        read=_read,
        restarted={"retention": "30d", "retention_size": "1gb"},
        reloaded={"evaluation_interval": "45s", "external_labels": "site=one", "replica": "a"},
        cost_s=60,
    ),
)
