"""A catalogue without a fault, and the kinds that it uses: each test breaks one thing in it."""

from typing import Any

from msgspec.structs import replace

from desired_state.catalogue import Catalogue, HostEntry, Override, PackageEntry, Placement, ServiceEntry
from desired_state.contract import Effect, KindMeta, PackageRole, Parameter, Verb, VerbMeta
from desired_state.document import Artifact, Origin, SealedSecret

VERBS = {verb: VerbMeta(timeout_s=60) for verb in Verb if verb is not Verb.MONITOR_TRACE}
REDIS = KindMeta(
    schema="towline.meta/1",
    kind="redis",
    holds_data=True,
    versions=("6", "7.2"),
    parameters=(
        Parameter(name="port", type="port", default="6379"),
        Parameter(name="admin_port", type="port"),
        Parameter(name="databases", type="int", default="16", min=1, max=100),
        Parameter(name="maxmemory", type="size", default="256mb", min=1 << 20),
        Parameter(name="policy", type="enum", default="noeviction", choices=("noeviction", "allkeys-lru")),
        Parameter(name="appendonly", type="bool", default="false"),
        Parameter(name="timeout", type="duration", default="0s", max=3600),
        Parameter(name="bind", type="string", default="127.0.0.1", min=1, max=20),
        Parameter(name="folder", type="path"),
        Parameter(name="replica_of", type="peer"),
        Parameter(name="extra", type="text", max=100),
        Parameter(name="password", type="secret"),
    ),
    packages=(PackageRole(role="server"), PackageRole(role="modules", required=False)),
    ports=("port", "admin_port"),
    monitoring=(
        Parameter(name="job", type="string", required=True, effect=Effect.NONE),
        Parameter(name="interval", type="duration", default="1m", min=5, effect=Effect.NONE),
    ),
    verbs={**VERBS, Verb.MONITOR_TRACE: VerbMeta(timeout_s=60)},
)
JAVA = KindMeta(
    schema="towline.meta/1",
    kind="java",
    parameters=(
        Parameter(name="port", type="port", required=True),
        Parameter(name="health_path", type="string", default="/"),
        Parameter(name="license", type="secret", required=True),
    ),
    packages=(PackageRole(role="app"), PackageRole(role="jdk")),
    ports=("port",),
    verbs=VERBS,
)
KINDS = {"redis": REDIS, "java": JAVA}

APP_1 = HostEntry(host="app-1", labels={"role": "app", "zone": "a"})
APP_2 = HostEntry(host="app-2", labels={"role": "app", "zone": "b"})
DB_1 = HostEntry(host="db-1", labels={"role": "db"})
CACHE = ServiceEntry(
    service="cache",
    kind="redis",
    version="7.2.5",
    parameters={"port": 6380, "maxmemory": "64mb"},
    packages={"server": "valkey-7.2.5"},
    placement=Placement(labels={"role": "app"}),
    overrides={"app-2": Override(parameters={"maxmemory": "128mb"})},
)
ORDERS = ServiceEntry(
    service="orders",
    kind="java",
    version="1.4.0",
    parameters={"port": 8080},
    secrets={"license": "orders-license"},
    packages={"app": "orders-1.4.0", "jdk": "jdk-21"},
    placement=Placement(hosts=("app-1",)),
    depends_on=("cache",),
)


def package(name: str, version: str, number: int) -> PackageEntry:
    """A package with that name and version."""
    return PackageEntry(
        package=name, version=version, file=f"{name}.tar.gz", sha256=f"{number:064x}", size=1000 + number
    )


PACKAGES = (package("valkey", "7.2.5", 1), package("orders", "1.4.0", 2), package("jdk", "21", 3))
SEALED = {"orders-license": SealedSecret(name="orders-license", version=3, sealed="c2VhbGVk")}
GOOD = Catalogue(services=(CACHE, ORDERS), packages=PACKAGES, hosts=(APP_1, APP_2, DB_1))

BUNDLE = Artifact(digest="sha256:" + "cd" * 32, size=5000, file="scripts.tar.gz")
ORIGIN = Origin(change="change-1", author="Anna", summary="First")


def with_service(entry: ServiceEntry, **changes: Any) -> Catalogue:
    """The good catalogue with that one of its services changed."""
    others = tuple(other for other in GOOD.services if other.service != entry.service)
    return replace(GOOD, services=(*others, replace(entry, **changes)))
