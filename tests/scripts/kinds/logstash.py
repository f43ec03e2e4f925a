"""Logstash. No registry has it, so everything runs on a stand-in with upstream's layout."""

import json

from tests.middleware import logstash_stand_in
from tests.scripts.calling import Service
from tests.scripts.kinds.case import Case, Real, Software
from tests.scripts.kinds.http import body_of
from tests.scripts.kinds.yaml_text import yaml_lines

PIPELINE = """\
input { generator { count => 1 } }
output { http { password => "{password}" } }"""


def _probe(service: Service) -> str:
    told = json.loads(body_of(service, "/_node/pipelines"))
    return f"GET /_node/pipelines: {', '.join(told['pipelines'])}"


def _extra(service: Service) -> str:
    return yaml_lines((service.root / "etc/logstash.yml").read_text("utf-8").partition("# The parameter extra\n")[2])


def _pipeline(service: Service) -> str:
    return (service.root / "etc/pipeline.conf").read_bytes().decode().partition("\n")[2]


def _software(version: str) -> Software:
    return Software(
        name="Logstash", version=version, packages=lambda: {"server": logstash_stand_in(version)}, layout_only=True
    )


CASE = Case(
    version="8.19.4",
    packages=lambda: {"server": logstash_stand_in()},
    parameters=lambda port: {"port": str(port), "pipeline": PIPELINE, "stop_timeout": "60s"},
    secrets={"password": "canary-of-logstash-%41$(id)\\'"},
    secret_files=frozenset({"etc/pipeline.conf"}),
    bad=(
        ("port", "0"),
        ("bind", "localhost"),
        ("node_name", "a b"),
        ("pipeline", ""),
        ("second_password", "parameter of a secret"),
        ("input_ports", "beats"),
        ("workers", "0"),
        ("batch_size", "0"),
        ("queue", "kafka"),
        ("queue_size", "1kb"),
        ("dead_letters", "yes"),
        ("max_heap", "1mb"),
        ("jvm_options", "-Xmx2g"),
        ("java", "bin/java"),
        ("jdk_service", "a b"),
        ("open_files", "10"),
        ("log_level", "loud"),
        ("extra", "path.data: /"),
        ("extra", "no setting"),
        ("colour", "blue"),
    ),
    arrives={"extra": _extra, "pipeline": _pipeline},
    real=Real(
        software=(_software("7.17.29"), _software("8.19.4")),
        probe=_probe,
        restarted={"workers": "2", "queue": "persisted"},
        cost_s=20,
    ),
)
