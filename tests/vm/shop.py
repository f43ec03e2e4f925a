"""What the tests declare: a Valkey and a Java service, both on the VM's network, and the agent itself."""

import hashlib
from pathlib import Path

from tests.end_to_end.demo import catalogue
from tests.middleware import Package, mariadb_archive, node_exporter_archive, prometheus_archive
from tests.middleware.packages import java_app_archive, java_runtime_archive, valkey_archive

VALKEY_PORT, JAVA_PORT = 6379, 8080


def software() -> list[Package]:
    """The packages of the services."""
    return [valkey_archive(), java_runtime_archive(), java_app_archive()]


def agent_package(archive: Path) -> Package:
    """The agent as a package: its version stands in its file name."""
    version = archive.name.removeprefix("towline-agent-").partition("-linux")[0]
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    return Package(name="towline-agent", version=version, path=archive, digest=f"sha256:{digest}")


def services(*hosts: str) -> dict[str, str]:
    """The entries of the services on these hosts, by their names."""
    return {"cache": cache(*hosts), "greeter": greeter(*hosts)}


def cache(*hosts: str, **parameters: object) -> str:
    """A Valkey."""
    package = valkey_archive()
    return catalogue.service(
        "cache",
        "redis",
        package.version,
        ", ".join(hosts),
        packages={"server": f"{package.name}-{package.version}"},
        parameters={"port": VALKEY_PORT, "bind": "0.0.0.0", "maxmemory": "16mb", **parameters},  # noqa: S104
    )


def greeter(*hosts: str) -> str:
    """A Java service with a runtime of its own."""
    runtime, app = java_runtime_archive(), java_app_archive()
    return catalogue.service(
        "greeter",
        "java",
        app.version,
        ", ".join(hosts),
        packages={"app": f"{app.name}-{app.version}", "jdk": f"{runtime.name}-{runtime.version}"},
        parameters={
            "port": JAVA_PORT,
            "max_heap": "32mb",
            "jar": "app.jar",
            "arguments": "-b 0.0.0.0 -p {port} -d {home}/content",
            "health_path": "/health",
        },
    )


def database(*hosts: str) -> str:
    """A MariaDB on loopback; its passwords are the secrets db-root and db-app."""
    package = mariadb_archive("10.11.19")
    entry = catalogue.service(
        "db",
        "mysql",
        package.version,
        ", ".join(hosts),
        packages={"server": f"{package.name}-{package.version}"},
        parameters={"bind": "127.0.0.1", "buffer_pool_size": "32mb", "database": "shop", "user": "app"},
    )
    return f"{entry}secrets: {{root_password: db-root, user_password: db-app}}\n"


def node_exporter() -> str:
    """A node exporter on every host."""
    package = node_exporter_archive("1.9.0")
    packages = {"server": f"{package.name}-{package.version}"}
    entry = catalogue.service("node-exporter", "node_exporter", package.version, "", packages=packages)
    return entry.replace("placement: {hosts: []}", "placement: {all: true}")


def graphs(*hosts: str) -> str:
    """A Prometheus that asks the site's backend what there is to scrape; its token is the secret prometheus-token."""
    package = prometheus_archive("2.53.3")
    entry = catalogue.service(
        "graphs",
        "prometheus",
        package.version,
        ", ".join(hosts),
        packages={"server": f"{package.name}-{package.version}"},
        parameters={
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "sd_interval": "5s",
            "sd_url": "https://towline.test:8470/v1/prometheus/targets",
            "sd_ca_file": "/srv/authority.pem",
        },
    )
    return f"{entry}secrets: {{sd_token: prometheus-token}}\n"


def agent(package: Package, *hosts: str, trial_timeout_s: int = 30) -> str:
    """The agent's own entry: hosts shall have this version of it."""
    return catalogue.service(
        "agent",
        "agent",
        package.version,
        ", ".join(hosts),
        packages={"release": f"{package.name}-{package.version}"},
        parameters={"trial_timeout": f"{trial_timeout_s}s"},
    )
