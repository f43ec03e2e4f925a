"""What the demo's catalogue declares: three hosts, seven services."""

from collections.abc import Mapping

from tests.middleware.archives import Package

from . import catalogue

HOSTS = ("web-1", "data-1", "app-1")
PORTS = ("backend", "site", "greeter", "cache", "sessions", "queue", "edge", "legacy")


def files(packages: Mapping[str, Package], port: Mapping[str, int]) -> dict[str, str]:
    """The catalogue's files, by their paths."""
    services = {**_web(packages, port), **_data(packages, port), **_app(packages, port)}
    told = {f"catalogue/services/{name}.yaml": text for name, text in services.items()}
    return told | {f"catalogue/hosts/{name}.yaml": catalogue.host(name, site="demo") for name in HOSTS}


def _web(packages: Mapping[str, Package], port: Mapping[str, int]) -> dict[str, str]:
    greeter = {
        "port": port["greeter"],
        "max_heap": "64mb",
        "jar": "app.jar",
        "arguments": "-b 127.0.0.1 -p {port} -d {home}/content",
        "health_path": "/health",
    }
    java = {"app": "hello-1.0.0", "jdk": _named(packages["jdk"])}
    return {
        "greeter": catalogue.service("greeter", "java", "1.0.0", "web-1", packages=java, parameters=greeter),
        "site": _proxy("site", "web-1", packages["nginx"], port, before="greeter"),
    }


def _data(packages: Mapping[str, Package], port: Mapping[str, int]) -> dict[str, str]:
    return {
        "cache": _redis("cache", "data-1", packages["valkey"], port, maxmemory="64mb"),
        "sessions": _redis("sessions", "data-1", packages["redis"], port, maxmemory="32mb"),
    }


def _app(packages: Mapping[str, Package], port: Mapping[str, int]) -> dict[str, str]:
    legacy = {"port": port["legacy"], "health_path": "/", "match": "*jdk.httpserver*"}
    return {
        "legacy": catalogue.service("legacy", "java", "2019", "app-1", state="adopted", parameters=legacy),
        "edge": _proxy("edge", "app-1", packages["nginx"], port, before="legacy"),
        "queue": _redis("queue", "app-1", packages["valkey"], port, maxmemory="32mb"),
    }


def _proxy(name: str, host: str, package: Package, port: Mapping[str, int], *, before: str) -> str:
    parameters = {"port": port[name], "bind": "127.0.0.1", "upstream": f"127.0.0.1:{port[before]}"}
    return catalogue.service(
        name,
        "nginx",
        package.version,
        host,
        packages={"server": _named(package)},
        parameters=parameters,
        depends_on=before,
    )


def _redis(name: str, host: str, package: Package, port: Mapping[str, int], *, maxmemory: str) -> str:
    return catalogue.service(
        name,
        "redis",
        package.version,
        host,
        packages={"server": _named(package)},
        parameters={"port": port[name], "maxmemory": maxmemory},
    )


def _named(package: Package) -> str:
    return f"{package.name}-{package.version}"
