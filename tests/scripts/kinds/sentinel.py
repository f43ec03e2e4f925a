"""The dashboard of Sentinel. The conformance run drives a stand-in for it, because the real one takes long to start."""

import json
from http.client import HTTPConnection
from urllib.parse import urlencode

from tests.middleware import java_runtime_archive, sentinel_jar, stand_in_java_archive, stand_in_sentinel_archive
from tests.middleware.archives import Package
from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.case import Case, Real, Software
from tests.servers.process import free_port

JAVA = "17.0.9"
SECRETS = {"password": "canary-password of \\ sentinel="}


def ask(service: Service, method: str, path: str, cookie: str = "", **fields: str) -> tuple[int, str, str]:
    """One request as a browser makes it; status, answer and the cookie that came with it."""
    line = HTTPConnection("127.0.0.1", int(service.parameters["port"]), timeout=30)
    try:
        line.request(method, f"{path}?{urlencode(fields)}", headers={"Cookie": cookie} if cookie else {})
        answer = line.getresponse()
        text = answer.read().decode("utf-8", "replace")
        return answer.status, text, (answer.getheader("Set-Cookie") or "").partition(";")[0]
    finally:
        line.close()


def logged_in(service: Service, password: str) -> str:
    """The cookie of a login; empty when it is refused."""
    user = service.parameters.get("user", "sentinel")
    _, text, cookie = ask(service, "POST", "/auth/login", username=user, password=password)
    return cookie if json.loads(text)["success"] else ""


def _shows_itself(service: Service) -> bool:
    old = service.version.startswith("0.")
    cookie = "" if old else logged_in(service, service.secrets["password"])
    return "sentinel-dashboard" in ask(service, "GET", "/app/names.json", cookie)[1]


def _probe(service: Service) -> str:
    """Who may look, may look; and a service that reports, the dashboard itself, is shown."""
    assert eventually(90, lambda: _shows_itself(service)), "the dashboard does not show itself"
    if service.version.startswith("0."):
        return "shows the service that reports to it"
    assert "" == logged_in(service, "sentinel"), "the password of upstream is good"
    assert 401 == ask(service, "GET", "/app/names.json")[0], "shows the services to everybody"
    return "asks for the password; shows the service that reports to it"


def _extra(service: Service) -> str:
    text = (service.root / "etc/application.properties").read_text("ascii")
    return text.partition("# The parameter extra\n")[2].removesuffix("\n").replace("\\\\", "\\")


def stand_ins(version: str) -> dict[str, Package]:
    """What looks the same to the script."""
    return {"server": stand_in_sentinel_archive(version), "jdk": stand_in_java_archive()}


def _software(version: str) -> Software:
    return Software(
        name="Sentinel dashboard",
        version=version,
        packages=lambda: {"server": sentinel_jar(version), "jdk": java_runtime_archive(JAVA)},
    )


CASE = Case(
    version="1.8.3",
    packages=lambda: stand_ins("1.8.3"),
    parameters=lambda port: {
        "port": str(port),
        "api_port": str(free_port()),
        "watch_itself": "true",
        "max_heap": "256mb",
        "jvm_options": "-XX:TieredStopAtLevel=1",
        "stop_timeout": "20s",
    },
    secrets=SECRETS,
    secret_files=frozenset({"etc/application.properties"}),
    bad=(
        ("port", "0"),
        ("bind", "localhost"),
        ("context_path", "sentinel"),
        ("api_port", "70000"),
        ("user", "a b"),
        ("session_timeout", "1s"),
        ("max_heap", "1mb"),
        ("java", "bin/java"),
        ("jdk_service", "a b"),
        ("start_timeout", "0s"),
        ("colour", "blue"),
    ),
    own_writing=("log/", "data/"),
    arrives={"extra": _extra},
    real=Real(
        software=(_software("0.1.1"), _software("1.8.3")),
        probe=_probe,
        restarted={"max_heap": "288mb", "extra": "logging.level.org.springframework.web=WARN"},
        cost_s=150,
    ),
)
