"""Prometheus' node exporter."""

import re

from tests.middleware import node_exporter_archive
from tests.scripts.calling import Service
from tests.scripts.kinds.case import Case, Real, Software
from tests.scripts.kinds.http import body_of


def _probe(service: Service) -> str:
    """What the exporter says of its own build, and whether it shows the load."""
    shown = body_of(service, "/metrics")
    found = re.search(r'^node_exporter_build_info\{.*version="([^"]+)"', shown, re.MULTILINE)
    assert found
    assert re.search(r"^node_load1 ", shown, re.MULTILINE)
    return f"GET /metrics: version {found[1]}"


def _software(version: str) -> Software:
    return Software(name="node_exporter", version=version, packages=lambda: {"server": node_exporter_archive(version)})


CASE = Case(
    version="1.9.0",
    packages=lambda: {"server": node_exporter_archive("1.9.0")},
    parameters=lambda port: {"port": str(port), "bind": "127.0.0.1"},
    bad=(
        ("port", "0"),
        ("bind", "localhost"),
        ("bind", "127.0.0.1:1 --web"),
        ("collectors_on", "ntp;id"),
        ("collectors_off", "--web"),
        ("textfile_dir", "metrics"),
        ("max_requests", "0"),
        ("own_metrics", "yes"),
        ("extra", "--collector.nope"),
        ("extra", "node_exporter"),
        ("extra", "--web.listen-address=:1"),
        ("colour", "blue"),
    ),
    real=Real(
        software=(_software("1.1.2"), _software("1.5.0"), _software("1.9.0")),
        probe=_probe,
        restarted={"collectors_on": "processes", "collectors_off": "arp wifi"},
        cost_s=10,
    ),
)
