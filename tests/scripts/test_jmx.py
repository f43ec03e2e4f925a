"""A page of metrics of a JVM: the real JMX exporter in a Java service and in Kafka."""

import socket
from pathlib import Path

import pytest

from tests.middleware import java_app_archive, java_runtime_archive, jmx_jar, kafka_archive
from tests.scripts.calling import Service
from tests.scripts.kinds.case import case_of
from tests.scripts.kinds.http import body_of
from tests.servers.process import free_port

JAVA = "21.0.8"
PROGRAM = {"java": ("app", java_app_archive, "1.0.0"), "kafka": ("server", kafka_archive, "4.1.0")}


def measured(kind: str, folder: Path, **parameters: str) -> Service:
    role, archive, version = PROGRAM[kind]
    return Service(
        kind=kind,
        name="shop",
        folder=folder,
        version=version,
        packages={role: archive(version), "jdk": java_runtime_archive(JAVA), "jmx": jmx_jar()},
        parameters={**case_of(kind).parameters(free_port()), "start_timeout": "5m", **parameters},
    )


def page_of(service: Service) -> str:
    """What Prometheus would get."""
    page = service.changed(parameters={"port": service.parameters["metrics_port"]})
    return body_of(page, "/metrics")


@pytest.mark.parametrize(
    ("kind", "rules", "shown"),
    [
        ("java", "", "java_lang_Runtime_Uptime"),
        (
            "kafka",
            "rules:\n  - pattern: 'kafka.server<type=(.+), name=(.+)><>Value'\n    name: kafka_server_$1_$2\n",
            "kafka_server_ReplicaManager_PartitionCount",
        ),
    ],
)
def test_its_metrics_are_served(folder: Path, kind: str, rules: str, shown: str) -> None:
    """The JVM's own, and what the rules make of its values; without a port it is an ordinary service again."""
    service = measured(kind, folder, metrics_port=str(free_port()), metrics_bind="127.0.0.1", metrics_rules=rules)
    service.do("install", "configure", "start")
    assert "running" == service.state_now()
    names = {line.partition(" ")[0].partition("{")[0] for line in page_of(service).splitlines()}
    assert {shown, "jvm_memory_used_bytes"} <= names
    assert ("0", "0") == (service.do("install").changed, service.do("configure").changed)
    service.parameters["metrics_port"] = ""
    service.do("configure", "restart")
    assert "running" == service.state_now()
    assert "javaagent" not in (service.root / "etc/command").read_text()
    del service.packages["jmx"]
    service.do("stop", "install", "configure")
    assert not (service.root / "jmx").exists()
    service.do("uninstall")
    assert [] == list((service.prefix / "packages").iterdir())


def test_rules_are_watched_where_the_package_is(folder: Path) -> None:
    """An edit by hand is drift, as of every file; a service without the package has the digest that it always had."""
    service = measured("java", folder, metrics_port=str(free_port()), metrics_rules="lowercaseOutputName: true")
    service.do("install", "configure")
    rules = service.root / "etc/jmx.yml"
    assert str(rules) in service.status().all("watch")
    rules.write_text(rules.read_text().replace("true", "false"))
    assert ["jmx.yml: lowercaseOutputName = true -> false"] == service.status().all("drift")
    del service.packages["jmx"]
    service.parameters |= {"metrics_port": "", "metrics_rules": ""}
    service.do("install", "configure")
    assert [service.root / "etc" / name for name in ("command", "environment", "secret")] == [
        Path(path) for path in service.status().all("watch")
    ]


def test_a_page_needs_the_package(folder: Path) -> None:
    """Said when it is configured, and not by a JVM that does not start."""
    service = measured("java", folder, metrics_port=str(free_port()))
    del service.packages["jmx"]
    service.do("install")
    said = service.call("configure")
    assert (5, "parameter metrics_port: there is no jmx package") == (said.code, said.reason)


def test_a_port_that_is_taken_is_told(folder: Path) -> None:
    """The JVM ends with it, and its log has its words."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        service = measured("java", folder, metrics_port=str(taken.getsockname()[1]), metrics_bind="127.0.0.1")
        service.do("install", "configure")
        said = service.call("start")
    assert (1, True) == (said.code, said.reason.startswith("shop ended right after its start: ")), said.reason
    assert "Address already in use" in (service.root / "log/shop.log").read_text()


@pytest.mark.parametrize(("name", "value"), [("metrics_bind", "localhost"), ("metrics_port", "0")])
def test_what_is_no_address_is_refused(folder: Path, name: str, value: str) -> None:
    """An option of the JVM is made of it."""
    said = measured("java", folder, **{name: value}).call("install")
    assert (6, True) == (said.code, said.reason.startswith(f"parameter {name}: ")), said.reason
