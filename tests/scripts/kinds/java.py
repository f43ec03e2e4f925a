"""A Java service: the runtime's own HTTP server, started from a jar."""

from tests.middleware import java_app_archive, java_runtime_archive
from tests.scripts.calling import Service
from tests.scripts.kinds.case import Case, Real, Software
from tests.scripts.kinds.http import body_of


def _argument(service: Service) -> str:
    """The last word of the command line, where arguments are said one a line."""
    return (service.root / "etc/command").read_bytes().decode().split("\n")[-2]


def _secret(service: Service) -> str:
    return (service.root / "etc/secret").read_bytes().decode().partition("\n")[2].removesuffix("\n")


def _write(service: Service) -> None:
    (service.root / "data/kept").write_text("by towline")


def _software(version: str, java: str) -> Software:
    """The runtime's own HTTP server, of the app's version, on that runtime."""
    return Software(
        name=f"HTTP service on Java {java}:",
        version=version,
        packages=lambda: {"app": java_app_archive(version), "jdk": java_runtime_archive(java)},
    )


CASE = Case(
    version="1.0.0",
    packages=lambda: {"app": java_app_archive("1.0.0"), "jdk": java_runtime_archive()},
    parameters=lambda port: {
        "port": str(port),
        "health_path": "/health",
        "max_heap": "32mb",
        "arguments": "-b 127.0.0.1 -p {port} -d {home}/content",
        "jvm_options": "-Xshare:auto -XX:TieredStopAtLevel=1",
        "environment": "GREETING=a b  c\nOTHER=$(id)",
    },
    secrets={"secret": "canary: java-pässword"},
    secret_files=frozenset({"etc/secret"}),
    bad=(
        ("port", "-1"),
        ("max_heap", "lots"),
        ("jar", "../app.jar"),
        ("jar", "/app.jar"),
        ("module", "a b"),
        ("main_class", "$(id)"),
        ("health_path", "health"),
        ("environment", "1A=b"),
        ("environment", "TOWLINE_STEP=b"),
        ("log_keep", "0"),
        ("java", "bin/java"),
        ("start_timeout", "never"),
        ("colour", "blue"),
    ),
    arrives={"secret": _secret},
    real=Real(
        software=(_software("1.0.0", "21.0.8"), _software("2.0.0", "25.0.2")),
        probe=lambda service: f"GET /version: {body_of(service, '/version').strip()}",
        write=_write,
        read=lambda service: (service.root / "data/kept").read_text() == "by towline",
        restarted={"max_heap": "48mb"},
        cost_s=15,
    ),
)
