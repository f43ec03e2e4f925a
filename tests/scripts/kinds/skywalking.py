"""SkyWalking's OAP: on H2, on MariaDB, on OpenSearch.

The conformance run drives a stand-in for it, because the real one takes long to start.
"""

import json
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from typing import Any

from tests.middleware import (
    java_runtime_archive,
    mariadb_archive,
    mysql_driver,
    skywalking_archive,
    stand_in_skywalking,
)
from tests.middleware.archives import Package
from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.case import Case, Real, Software
from tests.scripts.kinds.elasticsearch import opensearch
from tests.scripts.kinds.elasticsearch import parameters as search_parameters
from tests.scripts.kinds.mysql import SECRETS as DATABASE_SECRETS
from tests.servers.process import free_port

JAVA = "17.0.9"
MARIADB, OPENSEARCH = "10.11.19", "3.6.0"
SECRETS = {"storage_password": "canary-\"'\\-$(id): {x}"}


def post(service: Service, path: str, body: object) -> tuple[int, Any]:
    """One request to the REST port; status, and what the answer holds."""
    line = HTTPConnection("127.0.0.1", int(service.parameters["port"]), timeout=60)
    try:
        line.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = line.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None
    finally:
        line.close()


def ask(service: Service, query: str) -> Any:
    """A GraphQL query's data."""
    status, answer = post(service, "/graphql", {"query": query})
    assert (200, True) == (status, "data" in answer), answer
    return answer["data"]


def _probe(service: Service) -> str:
    return f"GraphQL: version {ask(service, '{version}')['version'].partition('-')[0]}"


def _services(service: Service) -> list[str]:
    return [one["name"] for one in ask(service, '{listServices(layer:"GENERAL"){name}}')["listServices"]]


def _read(service: Service) -> bool:
    return "kept" in _services(service)


def _write(service: Service) -> None:
    """A trace as an agent reports it; written when the storage has it, which is once in a while."""
    now = int(time.time() * 1000)
    span = {
        "operationName": "/kept",
        "startTime": now,
        "endTime": now + 20,
        "spanType": "Entry",
        "spanId": 0,
        "parentSpanId": -1,
        "isError": False,
        "spanLayer": "Http",
        "componentId": 1,
        "tags": [],
        "logs": [],
    }
    segment = {
        "traceId": f"{now}.1.1",
        "traceSegmentId": f"{now}.1.2",
        "service": "kept",
        "serviceInstance": "one",
        "spans": [span],
    }
    status, _ = post(service, "/v3/segments", [segment])
    assert 200 == status, status
    assert eventually(180, lambda: _read(service)), "the trace's service is not listed"


def packages(version: str) -> dict[str, Package]:
    """OAP with a Java of its own."""
    return {"server": skywalking_archive(version), "jdk": java_runtime_archive(JAVA)}


def _software(version: str) -> Software:
    return Software(name="SkyWalking OAP on H2", version=version, packages=lambda: packages(version))


def on_mariadb(service: Service) -> None:
    """A real MariaDB in a prefix of its own; it has that password, the service is told it as a secret."""
    database = Service(
        kind="mysql",
        name="db",
        folder=service.folder / "beside",
        version=MARIADB,
        packages={"server": mariadb_archive(MARIADB)},
        parameters={"port": str(free_port()), "buffer_pool_size": "64mb", "database": "traces", "user": "app"},
        secrets={**DATABASE_SECRETS, "user_password": SECRETS["storage_password"]},
    )
    database.do("install", "configure", "start")
    where = f"127.0.0.1:{database.parameters['port']}"
    service.parameters |= {
        "storage": "mysql",
        "storage_url": f"jdbc:mysql://{where}/traces?rewriteBatchedStatements=true&allowMultiQueries=true",
        "storage_user": "app",
    }


def on_opensearch(service: Service) -> None:
    """A real OpenSearch in a prefix of its own, open to all."""
    search = Service(
        kind="elasticsearch",
        name="search",
        folder=service.folder / "beside",
        version=OPENSEARCH,
        packages=opensearch(OPENSEARCH),
        parameters=search_parameters(free_port()),
    )
    search.do("install", "configure", "start")
    service.parameters |= {"storage": "elasticsearch", "storage_url": f"127.0.0.1:{search.parameters['port']}"}


def _on(name: str, prepare: Callable[[Service], None], packages: Callable[[], Mapping[str, Package]]) -> Software:
    return Software(
        name=f"SkyWalking OAP on {name}",
        version="10.1.0",
        packages=packages,
        prepare=prepare,
        first=True,
    )


CASE = Case(
    version="10.1.0",
    packages=lambda: stand_in_skywalking("10.1.0"),
    parameters=lambda port: {
        "port": str(port),
        "grpc_port": str(free_port()),
        "max_heap": "700mb",
        "log_level": "WARN",
        "jvm_options": "-XX:TieredStopAtLevel=1",
        "extra": "SW_CORE_PERSISTENT_PERIOD=5",
        "start_timeout": "10m",
    },
    bad=(
        ("port", "0"),
        ("role", "agent"),
        ("bind", "localhost"),
        ("oap_addresses", "oap:12800"),
        ("storage", "oracle"),
        ("storage_url", "jdbc:mysql://a/b"),
        ("storage_namespace", "A B"),
        ("records_kept", "0"),
        ("max_heap", "1mb"),
        ("java", "bin/java"),
        ("jdk_service", "a b"),
        ("log_level", "LOUD"),
        ("extra", "SW_STORAGE=h2"),
        ("extra", "SW_X=${HOME}"),
        ("extra", "no setting"),
        ("extra", "SW_NO_SUCH_PLACE=1"),
        ("colour", "blue"),
    ),
    secrets=SECRETS,
    secret_files=frozenset({"etc/config/application.yml"}),
    own_writing=("log/", "data/"),
    real=Real(
        software=(
            _software("9.6.0"),
            _software("10.1.0"),
            _on(f"MariaDB {MARIADB}", on_mariadb, lambda: packages("10.1.0") | {"driver": mysql_driver()}),
            _on(f"OpenSearch {OPENSEARCH}", on_opensearch, lambda: packages("10.1.0")),
        ),
        probe=_probe,
        write=_write,
        read=_read,
        restarted={"max_heap": "720mb", "records_kept": "5"},
        cost_s=480,
    ),
)
