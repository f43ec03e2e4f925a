"""Kibana. Tests of what every kind does run on a stand-in with upstream's layout.

`nox -s middleware -- kibana` runs the real one, beside a real Elasticsearch.
"""

import json
from pathlib import Path

from tests.middleware import kibana_archive, kibana_stand_in
from tests.scripts.calling import Service
from tests.scripts.kinds.case import Case, Real, Software
from tests.scripts.kinds.elasticsearch import elasticsearch, parameters
from tests.scripts.kinds.http import body_of
from tests.scripts.kinds.yaml_text import yaml_lines
from tests.servers.process import free_port

KEY = 'canary-of-kibana-"%41$(id)\\-32-bytes'
UNBUILT = "optimize.enabled: false"


def beside_elasticsearch(service: Service) -> None:
    """Starts an Elasticsearch that fits, in a prefix of its own, and says where it is."""
    search = Service(
        kind="elasticsearch",
        name="search",
        folder=service.folder,
        version="5.6.16",
        packages=elasticsearch("5.6.16"),
        parameters=parameters(free_port()),
        prefix=Path(service.folder, "beside"),
    )
    search.do("install", "configure", "start")
    service.parameters["elasticsearch"] = f"http://127.0.0.1:{search.parameters['port']}"


def _probe(service: Service) -> str:
    told = json.loads(body_of(service, "/api/status"))
    return f"GET /api/status: {told['status']['overall']['state']}"


def _extra(service: Service) -> str:
    return yaml_lines((service.root / "etc/kibana.yml").read_text("utf-8").partition("# The parameter extra\n")[2])


def _secret(name: str, service: Service) -> str:
    lines = (service.root / "etc/secrets.yml").read_text("utf-8").splitlines()[1:]
    told = {key: value for line in lines for key, value in json.loads("{" + line + "}").items()}
    return str(told.get(name, ""))


CASE = Case(
    version="8.19.4",
    packages=lambda: {"server": kibana_stand_in()},
    parameters=lambda port: {"port": str(port), "user": "kibana_system", "stop_timeout": "60s"},
    secrets={"password": "canary-of-kibana-'`id`", "encryption_key": KEY},
    secret_files=frozenset({"etc/secrets.yml"}),
    bad=(
        ("port", "0"),
        ("bind", "localhost"),
        ("name", "a b"),
        ("public_url", "kibana.example"),
        ("public_url", "http://kibana.example/"),
        ("base_path", "kibana"),
        ("elasticsearch", "127.0.0.1:9200"),
        ("elasticsearch", "http://elastic:secret@127.0.0.1:9200"),
        ("elasticsearch_ca", "none"),
        ("verify", "perhaps"),
        ("request_timeout", "0s"),
        ("max_heap", "1mb"),
        ("open_files", "10"),
        ("log_level", "loud"),
        ("extra", "server.port: 1"),
        ("extra", "no setting"),
        ("colour", "blue"),
    ),
    arrives={
        "extra": _extra,
        "password": lambda service: _secret("elasticsearch.password", service),
        "encryption_key": lambda service: _secret("xpack.encryptedSavedObjects.encryptionKey", service),
    },
    real=Real(
        software=(
            Software(
                name="Kibana",
                version="5.1.1",
                packages=lambda: {"server": kibana_archive("5.1.1")},
                parameters={"extra": UNBUILT, "user": ""},
                secrets={},
                prepare=beside_elasticsearch,
            ),
        ),
        probe=_probe,
        restarted={"request_timeout": "40s", "log_level": "error"},
        cost_s=200,
    ),
)
