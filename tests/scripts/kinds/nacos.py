"""Nacos, alone. The conformance run drives a stand-in for it, because the real one takes half a minute to start."""

import json
from http.client import HTTPConnection
from urllib.parse import urlencode

from tests.middleware import (
    java_runtime_archive,
    nacos_archive,
    stand_in_java_archive,
    stand_in_nacos_archive,
)
from tests.middleware.archives import Package
from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.case import Case, Real, Software
from tests.servers.process import free_port

JAVA = "17.0.9"
SECRETS = {
    "token_secret": "Y2FuYXJ5LXRva2VuLW9mLW5hY29zLTAxMjM0NTY3ODk=",
    "identity_secret": "canary-identity of nacos",
    "admin_password": "canary-Admin&password+%",
}
BESIDE = (-1000, 1000, 1001, 2)
"""How far from its port the others are; the last one is where the tests put its console."""


def ports() -> dict[str, str]:
    """A port whose neighbours, which Nacos takes too, are free."""
    port = free_port(*BESIDE)
    return {"port": str(port), "console_port": str(port + BESIDE[-1])}


def ask(service: Service, method: str, path: str, **fields: str) -> tuple[int, str]:
    """One request as a member makes it, whom nobody asks for a password; status and answer."""
    line = HTTPConnection("127.0.0.1", int(service.parameters["port"]), timeout=30)
    headers = {"towline-identity": service.secrets["identity_secret"], "User-Agent": "Nacos-Test"}
    try:
        line.request(method, f"/nacos{path}?{urlencode(fields)}", headers=headers)
        answer = line.getresponse()
        return answer.status, answer.read().decode()
    finally:
        line.close()


def _is_three(service: Service) -> bool:
    return service.version.startswith("3.")


def publish(service: Service, name: str, content: str) -> None:
    """A configuration is there afterwards."""
    if _is_three(service):
        said = ask(service, "POST", "/v3/admin/cs/config", dataId=name, groupName="g", content=content)
    else:
        said = ask(service, "POST", "/v1/cs/configs", dataId=name, group="g", content=content)
    assert said[0] == 200, said


def published(service: Service, name: str) -> str:
    """What the configuration holds; empty when there is none."""
    if _is_three(service):
        status, text = ask(service, "GET", "/v3/admin/cs/config", dataId=name, groupName="g")
        return str(json.loads(text)["data"]["content"]) if status == 200 else ""
    status, text = ask(service, "GET", "/v1/cs/configs", dataId=name, group="g")
    return text if status == 200 else ""


def _probe(service: Service) -> str:
    """A configuration there and back, and an instance of a service that is found."""
    publish(service, "probe", "asked")
    assert eventually(60, lambda: published(service, "probe") == "asked"), "its configuration does not come back"
    path = "/v3/client/ns/instance" if _is_three(service) else "/v1/ns/instance"
    said = ask(service, "POST", path, serviceName="probe", ip="192.0.2.7", port="80", ephemeral="true")
    assert said[0] == 200, said
    assert eventually(60, lambda: "192.0.2.7" in ask(service, "GET", f"{path}/list", serviceName="probe")[1])
    return "a configuration is published and read; an instance is registered and found"


def _extra(service: Service) -> str:
    text = (service.root / "etc/application.properties").read_text("ascii")
    return text.partition("# The parameter extra\n")[2].removesuffix("\n").replace("\\\\", "\\")


def packages(version: str) -> dict[str, Package]:
    """Nacos with a Java of its own."""
    return {"server": nacos_archive(version), "jdk": java_runtime_archive(JAVA)}


def stand_ins(version: str) -> dict[str, Package]:
    """What looks the same to the script."""
    return {"server": stand_in_nacos_archive(version), "jdk": stand_in_java_archive()}


def _software(version: str) -> Software:
    return Software(name="Nacos", version=version, packages=lambda: packages(version))


CASE = Case(
    version="2.3.2",
    packages=lambda: stand_ins("2.3.2"),
    parameters=lambda _: {
        **ports(),
        "max_heap": "512mb",
        "jvm_options": "-XX:TieredStopAtLevel=1",
        "stop_timeout": "20s",
    },
    secrets=SECRETS,
    secret_files=frozenset({"etc/application.properties"}),
    bad=(
        ("port", "1000"),
        ("port", "65000"),
        ("bind", "localhost"),
        ("address", "a/b"),
        ("members", "127.0.0.1"),
        ("members", "192.0.2.1:8848,192.0.2.2:8848"),
        ("context_path", "nacos"),
        ("database_url", "jdbc:oracle:thin:@db:1521/nacos"),
        ("database_url", "jdbc:mysql://db:3306/nacos?user=root&password=x"),
        ("database_user", "nacos"),
        ("identity_key", "a b"),
        ("token_lifetime", "1s"),
        ("max_heap", "1mb"),
        ("java", "bin/java"),
        ("jdk_service", "a b"),
        ("start_timeout", "0s"),
        ("colour", "blue"),
    ),
    own_writing=("log/", "data/"),
    arrives={"extra": _extra},
    real=Real(
        software=(_software("2.2.3"), _software("2.3.2"), _software("3.1.0")),
        probe=_probe,
        write=lambda service: publish(service, "kept", "a configuration that stays"),
        read=lambda service: published(service, "kept") == "a configuration that stays",
        restarted={"max_heap": "544mb", "extra": "nacos.config.push.maxRetryTime=40"},
        cost_s=400,
    ),
)
