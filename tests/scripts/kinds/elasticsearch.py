"""Elasticsearch and OpenSearch, a node that is alone.

The real ones take half a minute to start: tests of what every kind does run on a stand-in with upstream's layout, and
`nox -s middleware -- elasticsearch` runs the real ones.
"""

import json
import urllib.request
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

from tests.middleware import (
    elasticsearch_archive,
    elasticsearch_stand_in,
    java_runtime_archive,
    opensearch_archive,
)
from tests.middleware.archives import Package
from tests.scripts.calling import Service
from tests.scripts.kinds.case import Case, Real, Software
from tests.scripts.kinds.together import Together
from tests.scripts.kinds.yaml_text import yaml_lines
from tests.servers.certificates import PrivateCa
from tests.servers.process import free_port

JAVA = "21.0.8"
OLD_JAVA = "11.0.13"
PASSWORD = 'canary-of-elasticsearch-"%41$(id)\\'
DOCUMENTS = tuple(f"document {number}" for number in range(5))
CLUSTERS = {"8.19.4": "Elasticsearch 8.19.4", "3.6.0": "OpenSearch 3.6.0"}
SETTINGS = "http.max_content_length: 50mb\naction.destructive_requires_name: true"
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(service: Service, method: str, path: str, body: object = None) -> Any:
    """What a request is answered with, as the user elastic where users must log in. Raises OSError for a refusal."""
    asked = urllib.request.Request(
        f"http://127.0.0.1:{service.parameters['port']}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    if service.parameters.get("security") == "true":
        user = b64encode(f"elastic:{service.secrets['password']}".encode()).decode()
        asked.add_header("Authorization", f"Basic {user}")
    with _opener.open(asked, timeout=60) as answer:
        return json.load(answer)


def write(service: Service) -> None:
    """An index without replicas, and documents in it."""
    ask(service, "PUT", "/kept", {"settings": {"number_of_replicas": 0, "number_of_shards": 1}})
    kind = "doc" if service.version.startswith("5.") else "_doc"
    for number, text in enumerate(DOCUMENTS):
        ask(service, "PUT", f"/kept/{kind}/{number}?refresh=true", {"text": text})


def read(service: Service) -> bool:
    """Whether these documents are there."""
    found = ask(service, "GET", "/kept/_search?size=100")["hits"]["hits"]
    return sorted(DOCUMENTS) == sorted(hit["_source"]["text"] for hit in found)


def _probe(service: Service) -> str:
    """A document there and back, and what the node says of its cluster."""
    kind = "doc" if service.version.startswith("5.") else "_doc"
    ask(service, "PUT", "/probe", {"settings": {"number_of_replicas": 0}}) if _missing(service) else None
    ask(service, "PUT", f"/probe/{kind}/1?refresh=true", {"text": "probe"})
    assert low_watermark(service) == f"{service.parameters['watermarks'].split()[0]}%"
    assert ask(service, "GET", "/probe/_search?q=text:probe")["hits"]["hits"][0]["_source"] == {"text": "probe"}
    health = ask(service, "GET", "/_cluster/health?wait_for_status=green&timeout=30s")
    return f"cluster health {health['status']}, {health['number_of_nodes']} node; a document is indexed and found"


def low_watermark(service: Service) -> str:
    """What is in effect: of the cluster, else of the node's file."""
    said = ask(service, "GET", "/_cluster/settings?include_defaults=true&flat_settings=true")
    name = "cluster.routing.allocation.disk.watermark.low"
    return str(said["persistent"].get(name) or said["defaults"].get(name))


def _missing(service: Service) -> bool:
    return "probe" not in ask(service, "GET", "/_cluster/state/metadata")["metadata"]["indices"]


def _extra(service: Service) -> str:
    (file,) = (service.root / "etc").glob("*search.yml")
    return yaml_lines(file.read_text("utf-8").partition("# The parameter extra\n")[2])


def _password(service: Service) -> str:
    return b64decode((service.root / "etc/password").read_text("utf-8").split()[-1]).decode().removeprefix("elastic:")


def elasticsearch(version: str) -> dict[str, Package]:
    """Elasticsearch with a Java of its own."""
    java = OLD_JAVA if version.startswith("5.") else JAVA
    return {"server": elasticsearch_archive(version), "jdk": java_runtime_archive(java)}


def opensearch(version: str) -> dict[str, Package]:
    """OpenSearch with a Java of its own."""
    return {"server": opensearch_archive(version), "jdk": java_runtime_archive(JAVA)}


def parameters(port: int) -> dict[str, str]:
    """Of a node that is alone, as small as can be."""
    return {
        "port": str(port),
        "transport_port": str(free_port()),
        "max_heap": "512mb",
        "watermarks": "97 98 99",
        "log_level": "warn",
        "jvm_options": "-XX:TieredStopAtLevel=1",
        "start_timeout": "10m",
        "stop_timeout": "60s",
    }


def _elasticsearch(version: str, *, refuses: str, security: str, first: bool = False) -> Software:
    return Software(
        name="Elasticsearch",
        version=version,
        packages=lambda: elasticsearch(version),
        parameters={"security": security},
        secrets={"password": PASSWORD},
        refuses=refuses,
        refused_by="the script",
        first=first,
    )


def _opensearch(version: str, *, refuses: str, first: bool = False) -> Software:
    return Software(
        name="OpenSearch",
        version=version,
        packages=lambda: opensearch(version),
        parameters={"security": "false"},
        secrets={},
        refuses=refuses,
        refused_by="the script",
        first=first,
    )


def three(software: Software, folder: Path) -> list[Service]:
    """Nodes that may be masters, as their documents tell them; with certificates where users must log in."""
    ports = [free_port() for _ in range(3)]
    shared = {
        **software.parameters,
        "max_heap": "384mb",
        "cluster_name": "orders",
        "seeds": ", ".join(f"127.0.0.1:{one}" for one in ports),
        "initial_masters": "node-1, node-2, node-3",
    }
    secrets = dict(software.secrets or {})
    if shared["security"] == "true":
        certificates, keys = _certificates(folder / "authority")
        shared, secrets = shared | certificates, secrets | keys
    return [
        Service(
            kind="elasticsearch",
            name=f"node-{number}",
            folder=folder,
            version=software.version,
            packages=software.packages(),
            parameters={**parameters(free_port()), **shared, "transport_port": str(port)},
            secrets=secrets,
        )
        for number, port in enumerate(ports, start=1)
    ]


def _certificates(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Parameters and secrets for TLS among nodes of this machine."""
    authority = PrivateCa(folder)
    certificate, key = authority.issue("127.0.0.1")
    parameters = {"transport_certificate": certificate.read_text(), "transport_ca": authority.pem.read_text()}
    return parameters, {"transport_key": key.read_text()}


def _tell(service: Service, text: str) -> None:
    ask(service, "PUT", f"/told/_doc/{text}?refresh=true", {"text": text})


def _told(service: Service) -> list[str]:
    try:
        return [hit["_id"] for hit in ask(service, "GET", "/told/_search?size=100")["hits"]["hits"]]
    except OSError:  # for a moment nobody has the shard that is asked
        return []


def cluster(software: Software, folder: Path) -> str:
    """Documents given to one are found by all; one is killed, and missed by the others."""
    if software.version not in CLUSTERS:
        return f"run with {' and '.join(CLUSTERS.values())}"
    together = Together(members=three(software, folder), write=_tell, read=_told)
    missed = "2 of 3 nodes are in the cluster"
    together.form().tell(0, "first").lose(2, missed, everybody=True).tell(1, "second").comes_back(2, "second")
    how = "three with TLS among them and a login" if software.parameters["security"] == "true" else "three"
    return (
        f"{how}: what one is told, all find; one killed with -9, the others say: {missed}; it comes back, all is there"
    )


CASE = Case(
    version="8.19.4",
    packages=lambda: {"server": elasticsearch_stand_in()},
    parameters=lambda port: parameters(port) | {"security": "true"},
    secrets={"password": PASSWORD, "keystore": "s3.client.default.secret_key=canary-of-a-bucket"},
    secret_files=frozenset({"etc/password", "etc/elasticsearch.keystore"}),
    bad=(
        ("port", "0"),
        ("bind", "localhost"),
        ("transport_bind", "0.0.0.0/0"),
        ("publish", "http://node"),
        ("cluster_name", "a b"),
        ("node_name", "-E${x}"),
        ("roles", "master data"),
        ("seeds", "node-1"),
        ("initial_masters", "node-1"),
        ("expected_nodes", "0"),
        ("least_status", "red"),
        ("watermarks", "90 85 95"),
        ("watermarks", "85%"),
        ("data_folder", "../db"),
        ("max_heap", "1mb"),
        ("memory_lock", "yes"),
        ("jvm_options", "-Xmx2g"),
        ("jvm_options", "nonsense"),
        ("java", "bin/java"),
        ("jdk_service", "a b"),
        ("open_files", "10"),
        ("transport_certificate", "none"),
        ("extra", "path.data: /"),
        ("extra", "no setting"),
        ("extra", "xpack.security.http.ssl.enabled: true"),
        ("colour", "blue"),
    ),
    own_writing=("log/", "data/db/", "data/tmp/"),
    arrives={"extra": _extra, "password": _password},
    real=Real(
        software=(
            _elasticsearch("5.6.16", refuses="", security="false", first=True),
            _elasticsearch("7.17.29", refuses="does not take it back", security="true", first=True),
            _elasticsearch("8.19.4", refuses="", security="true"),
            _opensearch("2.19.1", refuses="does not take it back", first=True),
            _opensearch("3.6.0", refuses=""),
        ),
        probe=_probe,
        write=write,
        read=read,
        restarted={"max_heap": "544mb", "extra": SETTINGS},
        reloaded={"watermarks": "96 97 98"},
        cluster=cluster,
        cost_s=900,
    ),
)
