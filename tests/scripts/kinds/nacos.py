"""Nacos, alone. The conformance run drives a stand-in for it, because the real one takes half a minute to start."""

import json
from http.client import HTTPConnection
from pathlib import Path
from socket import create_connection
from urllib.parse import urlencode

from tests.middleware import (
    java_runtime_archive,
    mariadb_archive,
    nacos_archive,
    stand_in_java_archive,
    stand_in_nacos_archive,
)
from tests.middleware.archives import Package
from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.case import Case, Real, Software
from tests.scripts.kinds.mysql import SECRETS as DATABASE_SECRETS
from tests.scripts.kinds.together import Together
from tests.servers.process import free_port

JAVA = "17.0.9"
MARIADB = "10.11.19"
CLUSTERS = ("2.3.2", "3.1.0")
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


def opens(service: Service, password: str) -> bool:
    """Whether the user nacos gets in with that password: at the console, from Nacos 3 on."""
    if _is_three(service):
        port, path = service.parameters["console_port"], "/v3/auth/user/login"
    else:
        port, path = service.parameters["port"], "/nacos/v1/auth/login"
    form = urlencode({"username": "nacos", "password": password}).encode()
    kind = "Content-Type: application/x-www-form-urlencoded"
    asked = f"POST {path} HTTP/1.0\r\n{kind}\r\nContent-Length: {len(form)}\r\n\r\n"
    with create_connection(("127.0.0.1", int(port)), timeout=30) as line, line.makefile("rb") as said:
        line.sendall(asked.encode() + form)
        answer = said.read().decode()
    # One that is refused has the HTTP status 0 up to 2.3, at which a proper client stumbles.
    return answer.startswith(("HTTP/1.0 200 ", "HTTP/1.1 200 ")) and '"accessToken":"' in answer


def _logs_in(service: Service) -> str:
    """Who has the declared password gets in, and nobody with another one, nor with upstream's own."""
    declared = service.secrets["admin_password"]
    assert eventually(60, lambda: opens(service, declared)), "admin_password does not open it"
    others = [password for password in ("nacos", f"{declared}.", SECRETS["admin_password"]) if password != declared]
    assert not [password for password in others if opens(service, password)], "another password opens it"
    return "admin_password opens it, and no other"


def _probe(service: Service) -> str:
    """A configuration there and back, an instance of a service that is found, and a login."""
    publish(service, "probe", "asked")
    assert eventually(60, lambda: published(service, "probe") == "asked"), "its configuration does not come back"
    path = "/v3/client/ns/instance" if _is_three(service) else "/v1/ns/instance"
    said = ask(service, "POST", path, serviceName="probe", ip="192.0.2.7", port="80", ephemeral="true")
    assert said[0] == 200, said
    assert eventually(60, lambda: "192.0.2.7" in ask(service, "GET", f"{path}/list", serviceName="probe")[1])
    return f"a configuration is published and read; an instance is registered and found; {_logs_in(service)}"


def _extra(service: Service) -> str:
    text = (service.root / "etc/application.properties").read_text("ascii")
    return text.partition("# The parameter extra\n")[2].removesuffix("\n").replace("\\\\", "\\")


def packages(version: str) -> dict[str, Package]:
    """Nacos with a Java of its own."""
    return {"server": nacos_archive(version), "jdk": java_runtime_archive(JAVA)}


def stand_ins(version: str) -> dict[str, Package]:
    """What looks the same to the script."""
    return {"server": stand_in_nacos_archive(version), "jdk": stand_in_java_archive()}


def _software(version: str, refuses: str = "") -> Software:
    return Software(
        name="Nacos",
        version=version,
        packages=lambda: packages(version),
        refuses=refuses,
        refused_by="the script",
    )


def database_of(folder: Path) -> Service:
    """A MariaDB with an empty database, and an account for it."""
    service = Service(
        kind="mysql",
        name="db",
        folder=folder,
        version=MARIADB,
        packages={"server": mariadb_archive(MARIADB)},
        parameters={"port": str(free_port()), "buffer_pool_size": "64mb", "database": "nacos", "user": "app"},
        secrets=DATABASE_SECRETS,
    )
    service.do("install", "configure", "start")
    return service


def on(database: Service, service: Service) -> Service:
    """The same with its data in that database, and a client to make the tables."""
    port = database.parameters["port"]
    service.parameters["database_url"] = (
        f"jdbc:mysql://127.0.0.1:{port}/nacos?useSSL=false&allowPublicKeyRetrieval=true"
    )
    service.parameters["database_user"] = "app"
    service.secrets["database_password"] = "p\"w\\d $x'y"
    database.secrets = {**DATABASE_SECRETS, "user_password": service.secrets["database_password"]}
    database.do("configure", "reload")
    service.packages["client"] = database.packages["server"]
    return service


def three(software: Software, folder: Path) -> list[Service]:
    """Three members on this machine."""
    wanted = [{**CASE.parameters(0), "max_heap": "384mb"} for _ in range(3)]
    members = ", ".join(f"127.0.0.1:{parameters['port']}" for parameters in wanted)
    return [
        Service(
            kind="nacos",
            name=f"member-{number}",
            folder=folder,
            version=software.version,
            packages=software.packages(),
            parameters={**parameters, "members": members},
            secrets=SECRETS,
        )
        for number, parameters in enumerate(wanted, start=1)
    ]


def cluster(software: Software, folder: Path) -> str:
    """Told to one, all tell it; one is killed, named by the others, and comes back."""
    if software.version not in CLUSTERS:
        return f"run with {' and '.join(CLUSTERS)}"
    database, members = database_of(folder), three(software, folder)
    for service in members:
        on(database, service)
    together = Together(
        members=members,
        write=lambda service, text: publish(service, "kept", text),
        read=lambda service: [published(service, "kept")],
    )
    lost = "2 of 3 members are up: 127.0.0.1:"
    together.form().tell(0, "first").lose(2, f"{lost}{members[2].parameters['port']} is ", everybody=True)
    together.tell(1, "second").comes_back(2, "second")
    what = "what one is told, all tell; one killed with -9 is named by the others, and comes back"
    return f"three on MariaDB {MARIADB}: {what}"


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
        software=(
            _software("2.2.3"),
            _software("2.3.2", refuses="Nacos 2 does not see what Nacos 3 has kept"),
            _software("3.1.0"),
        ),
        probe=_probe,
        write=lambda service: publish(service, "kept", "a configuration that stays"),
        read=lambda service: published(service, "kept") == "a configuration that stays",
        rotated={"admin_password": "canary-Next=password ?"},
        restarted={"max_heap": "544mb", "extra": "nacos.config.push.maxRetryTime=40"},
        cluster=cluster,
        cost_s=600,
    ),
)
