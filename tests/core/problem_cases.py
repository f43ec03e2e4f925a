"""What is wrong with a catalogue, case by case: the good one with a fault, and every problem that it shall be told."""

from datetime import datetime, timedelta, timezone
from typing import Any

from msgspec.structs import replace

from desired_state.catalogue import Catalogue, Cluster, Member, Override, Placement, ServiceEntry
from tests.core.fleet import APP_1, APP_2, CACHE, DB_1, GOOD, ORDERS, PACKAGES, package, with_service


def error(pointer: str, message: str) -> tuple[str, str, str]:
    """One error."""
    return (pointer, "error", message)


def warning(pointer: str, message: str) -> tuple[str, str, str]:
    """One warning."""
    return (pointer, "warning", message)


REST = (APP_2, DB_1)
AGENT = ServiceEntry(
    service="agent", kind="agent", version="1.0", packages={"server": "jdk-21"}, placement=Placement(all=True)
)
BY_A_DOCUMENT = "by a document; suspend the host by its mode, or run agentctl.sh uninstall on it"


def with_agents(*agents: ServiceEntry, **changes: Any) -> Catalogue:
    """The good catalogue with these services too; the changes are of the first."""
    return replace(GOOD, services=(*GOOD.services, replace(agents[0], **changes), *agents[1:]))


CASES: dict[str, tuple[Catalogue, list[tuple[str, str, str]]]] = {
    "service twice": (
        replace(GOOD, services=(*GOOD.services, CACHE)),
        [error("/services/cache", "service 'cache' is declared 2 times; keep one of them")],
    ),
    "host twice": (
        replace(GOOD, hosts=(*GOOD.hosts, APP_1)),
        [error("/hosts/app-1", "host 'app-1' is declared 2 times; keep one of them")],
    ),
    "package twice": (
        replace(GOOD, packages=(*PACKAGES, PACKAGES[2], package("jdk", "21", 9))),
        [error("/packages/jdk-21", "package 'jdk-21' is declared 3 times; keep one of them")],
    ),
    "two packages in one folder": (
        replace(GOOD, packages=(*PACKAGES, package("a-1", "2", 8), package("a", "1-2", 9))),
        [error("/packages/a-1-2", "package 'a-1-2' is declared 2 times; keep one of them")],
    ),
    "unknown kind": (
        with_service(CACHE, kind="reddis"),
        [error("/services/cache/kind", "unknown kind 'reddis'; did you mean 'redis'?")],
    ),
    "unknown kind, none near": (
        with_service(CACHE, kind="xyz"),
        [error("/services/cache/kind", "unknown kind 'xyz'; the script bundle has agent, java, redis")],
    ),
    "a cluster of a kind that forms none": (
        with_service(CACHE, placement=Placement(), overrides={}, cluster=Cluster(members={"app-2": Member(id=1)})),
        [
            error(
                "/services/cache/cluster",
                "services of kind redis form no cluster: its script has no CLUSTER lines; use placement",
            ),
            error("/services/orders/depends_on/0", "cache is not placed on app-1; place it there too"),
        ],
    ),
    "unsupported version": (
        with_service(CACHE, version="7.20.1"),
        [error("/services/cache/version", "version 7.20.1 of redis is not supported; supported: 6, 7.2")],
    ),
    "unsupported version on one host": (
        with_service(CACHE, overrides={"app-1": Override(version="5.0")}),
        [
            error(
                "/services/cache/overrides/app-1/version",
                "version 5.0 of redis is not supported; supported: 6, 7.2",
            )
        ],
    ),
    "version that goes away": (
        replace(GOOD, services=(replace(CACHE, version="5", state="absent", packages={}),)),
        [],
    ),
    "unsupported version where it goes away": (
        replace(GOOD, services=(replace(CACHE, overrides={"app-1": Override(version="5.0", state="absent")}),)),
        [],
    ),
    "unsupported version of what is absent everywhere": (
        replace(GOOD, services=(replace(CACHE, state="absent", overrides={"app-1": Override(version="5.0")}),)),
        [],
    ),
    "unsupported version where it comes back": (
        replace(
            GOOD,
            services=(replace(CACHE, state="absent", overrides={"app-1": Override(version="5.0", state="running")}),),
        ),
        [
            error(
                "/services/cache/overrides/app-1/version",
                "version 5.0 of redis is not supported; supported: 6, 7.2",
            )
        ],
    ),
    "monitoring of its kind": (with_service(CACHE, monitoring={"job": "fleet", "interval": "15s"}), []),
    "unknown parameter": (
        with_service(CACHE, parameters={"prot": 6380}),
        [error("/services/cache/parameters/prot", "unknown parameter 'prot'; did you mean 'port'?")],
    ),
    "unknown parameter, none near": (
        with_service(ORDERS, parameters={"port": 8080, "xyz": 1}),
        [
            error(
                "/services/orders/parameters/xyz",
                "unknown parameter 'xyz'; java has health_path, license, port",
            )
        ],
    ),
    "ill-typed parameter": (
        with_service(CACHE, parameters={"port": "6380"}),
        [
            error(
                "/services/cache/parameters/port",
                "'port' must be a port, a number from 1 to 65535 without quotes; it is '6380'",
            )
        ],
    ),
    "out of bounds on one host": (
        with_service(CACHE, overrides={"app-1": Override(parameters={"databases": 101})}),
        [error("/services/cache/overrides/app-1/parameters/databases", "'databases' must be at most 100; it is 101")],
    ),
    "secret in clear": (
        with_service(CACHE, parameters={"password": "hunter2"}),
        [
            error(
                "/services/cache/parameters/password",
                "'password' is a secret, which never stands in a catalogue in clear; "
                "take it out, and change it where it is used",
            )
        ],
    ),
    "secret that is none": (
        with_service(CACHE, secrets={"port": "redis-main", "passwort": "redis-main"}),
        [
            error("/services/cache/secrets/passwort", "unknown secret parameter 'passwort'; did you mean 'password'?"),
            error("/services/cache/secrets/port", "'port' is no secret; write its value under parameters"),
        ],
    ),
    "secret of one host that is none": (
        with_service(CACHE, overrides={"app-1": Override(secrets={"port": "redis-main"})}),
        [
            error(
                "/services/cache/overrides/app-1/secrets/port", "'port' is no secret; write its value under parameters"
            )
        ],
    ),
    "missing secret": (
        with_service(ORDERS, secrets={}),
        [error("/services/orders/secrets/license", "secret 'license' is required by java, and missing on app-1")],
    ),
    "missing secret that its host has": (
        with_service(ORDERS, secrets={}, overrides={"app-1": Override(secrets={"license": "orders-license"})}),
        [],
    ),
    "missing parameter": (
        with_service(ORDERS, parameters={}),
        [error("/services/orders/parameters/port", "parameter 'port' is required by java, and missing on app-1")],
    ),
    "missing parameter where it goes away": (with_service(ORDERS, parameters={}, state="absent"), []),
    "missing parameter on many hosts": (
        Catalogue(
            services=(replace(ORDERS, parameters={}, depends_on=(), placement=Placement(labels={"role": "app"})),),
            packages=PACKAGES,
            hosts=tuple(replace(APP_1, host=f"app-{n}") for n in range(1, 6)),
        ),
        [
            error(
                "/services/orders/parameters/port",
                "parameter 'port' is required by java, and missing on app-1, app-2, app-3 and 2 more hosts",
            )
        ],
    ),
    "missing parameter, placed nowhere yet": (
        with_service(ORDERS, parameters={}, placement=Placement(hosts=("db-2",))),
        [
            error("/services/orders/parameters/port", "parameter 'port' is required by java, and missing"),
            warning("/services/orders/placement", "matches no host, so no host gets this service"),
            warning("/services/orders/placement/hosts/0", "there is no host 'db-2'; did you mean 'db-1'?"),
        ],
    ),
    "parameter given on each host": (
        with_service(ORDERS, parameters={}, overrides={"app-1": Override(parameters={"port": 8080})}),
        [],
    ),
    "emptied required parameter": (
        with_service(ORDERS, parameters={"port": ""}),
        [error("/services/orders/parameters/port", "'port' must not be empty")],
    ),
    "unknown role": (
        with_service(CACHE, packages={"server": "valkey-7.2.5", "sever": "jdk-21"}),
        [error("/services/cache/packages/sever", "unknown role 'sever'; did you mean 'server'?")],
    ),
    "unknown role, none near": (
        with_service(CACHE, packages={"server": "valkey-7.2.5", "xyz": "jdk-21"}),
        [error("/services/cache/packages/xyz", "unknown role 'xyz'; redis has modules, server")],
    ),
    "missing role": (
        with_service(ORDERS, packages={"app": "orders-1.4.0"}),
        [error("/services/orders/packages/jdk", "package role 'jdk' is required by java, and missing on app-1")],
    ),
    "adopted needs no package": (with_service(ORDERS, packages={}, state="adopted"), []),
    "unknown package": (
        with_service(CACHE, packages={"server": "valkey-7.2.4"}),
        [
            error(
                "/services/cache/packages/server",
                "there is no package 'valkey-7.2.4'; did you mean 'valkey-7.2.5'?",
            )
        ],
    ),
    "unknown package on one host": (
        with_service(CACHE, overrides={"app-1": Override(packages={"modules": "zzz"})}),
        [error("/services/cache/overrides/app-1/packages/modules", "there is no package 'zzz'; declare it")],
    ),
    "unknown dependency": (
        with_service(ORDERS, depends_on=("cahce",)),
        [error("/services/orders/depends_on/0", "there is no service 'cahce'; did you mean 'cache'?")],
    ),
    "unknown dependency, none near": (
        with_service(ORDERS, depends_on=("cache", "zzz")),
        [error("/services/orders/depends_on/1", "there is no service 'zzz'; declare it")],
    ),
    "dependency on itself": (
        with_service(CACHE, depends_on=("cache",)),
        [error("/services/cache/depends_on", "is a cycle: cache → cache; take one of them out")],
    ),
    "cycle": (
        replace(
            GOOD,
            services=(
                replace(CACHE, depends_on=("orders",), placement=Placement(hosts=("app-1",)), overrides={}),
                ORDERS,
            ),
        ),
        [error("/services/cache/depends_on", "is a cycle: cache → orders → cache; take one of them out")],
    ),
    "dependency elsewhere": (
        with_service(CACHE, placement=Placement(hosts=("db-1",)), overrides={}),
        [error("/services/orders/depends_on/0", "cache is not placed on app-1; place it there too")],
    ),
    "dependency absent": (
        with_service(CACHE, overrides={"app-1": Override(state="absent")}),
        [error("/services/orders/depends_on/0", "cache is to be absent on app-1, but orders needs it there")],
    ),
    "both absent": (
        replace(GOOD, services=(replace(CACHE, state="absent"), replace(ORDERS, state="absent"))),
        [],
    ),
    "override for an unknown host": (
        with_service(CACHE, overrides={"app-3": Override()}),
        [error("/services/cache/overrides/app-3", "there is no host 'app-3'; did you mean 'app-2'?")],
    ),
    "override for an unknown host, none near": (
        with_service(CACHE, overrides={"zzz": Override()}),
        [error("/services/cache/overrides/zzz", "there is no host 'zzz'; declare it")],
    ),
    "override for a host without the service": (
        with_service(CACHE, overrides={"db-1": Override()}),
        [
            error(
                "/services/cache/overrides/db-1",
                "the service is not placed on db-1; place it there, or take this out",
            )
        ],
    ),
    "two services on one port": (
        with_service(ORDERS, parameters={"port": 6380}),
        [
            error(
                "/services/orders/parameters/port",
                "port 6380 of app-1 is taken by port of service cache; choose another",
            )
        ],
    ),
    "two services on one port by default": (
        replace(
            GOOD,
            services=(
                replace(CACHE, parameters={}, overrides={}),
                replace(ORDERS, parameters={"port": 8080}, overrides={"app-1": Override(parameters={"port": 6379})}),
            ),
        ),
        [
            error(
                "/services/orders/overrides/app-1/parameters/port",
                "port 6379 of app-1 is taken by port of service cache; choose another",
            )
        ],
    ),
    "two ports of one service": (
        with_service(CACHE, parameters={"admin_port": 6379}),
        [
            error(
                "/services/cache/parameters/admin_port",
                "port 6379 of app-1 is taken by port of service cache; choose another",
            ),
            error(
                "/services/cache/parameters/admin_port",
                "port 6379 of app-2 is taken by port of service cache; choose another",
            ),
        ],
    ),
    "one port on two hosts": (
        with_service(ORDERS, parameters={"port": 6380}, placement=Placement(hosts=("db-1",)), depends_on=()),
        [],
    ),
    "stopped services hold no port": (with_service(ORDERS, parameters={"port": 6380}, state="stopped"), []),
    "purge without absent": (
        with_service(CACHE, purge=True),
        [
            error(
                "/services/cache/purge",
                "purge deletes data, and goes with state absent only; the state is running",
            )
        ],
    ),
    "purge with a host that keeps it": (
        with_service(
            replace(ORDERS, depends_on=()), purge=True, state="absent", overrides={"app-1": Override(state="running")}
        ),
        [
            error(
                "/services/orders/overrides/app-1/state",
                "purge deletes data, and goes with state absent only; the state is running on app-1",
            )
        ],
    ),
    "empty placement": (
        with_service(ORDERS, placement=Placement()),
        [
            warning(
                "/services/orders/placement",
                "is empty, so no host gets this service; add labels or hosts, or all: true",
            )
        ],
    ),
    "placement on all hosts, and on some": (
        with_service(CACHE, placement=Placement(all=True, hosts=("app-1",), labels={"role": "app"})),
        [
            error("/services/cache/placement/hosts", "says nothing beside all: true; take one of the two out"),
            error("/services/cache/placement/labels", "says nothing beside all: true; take one of the two out"),
        ],
    ),
    "placement on all hosts": (with_service(CACHE, placement=Placement(all=True)), []),
    "an address that is none": (
        replace(GOOD, hosts=(replace(APP_1, address="10.0.0.256"), *REST)),
        [error("/hosts/app-1/address", "10.0.0.256 is no IP address; write a name, or an address in full")],
    ),
    "an address of no family": (
        replace(GOOD, hosts=(replace(APP_1, address="1::2::3"), *REST)),
        [error("/hosts/app-1/address", "1::2::3 is no IP address; write a name, or an address in full")],
    ),
    "addresses": (
        replace(GOOD, hosts=(replace(APP_1, address="fe80::1"), replace(APP_2, address="10.0.0.2"), DB_1)),
        [],
    ),
    "placement without a host": (
        with_service(ORDERS, placement=Placement(labels={"role": "app", "zone": "z"})),
        [warning("/services/orders/placement", "matches no host, so no host gets this service")],
    ),
    "placement with one host too many": (
        with_service(ORDERS, placement=Placement(hosts=("app-1", "zzz"))),
        [warning("/services/orders/placement/hosts/1", "there is no host 'zzz'; declare it")],
    ),
    "an agent that shall stop": (
        with_agents(AGENT, state="stopped"),
        [error("/services/agent/state", f"the agent is not stopped {BY_A_DOCUMENT}")],
    ),
    "an agent that shall go from one host": (
        with_agents(AGENT, overrides={"app-1": Override(state="absent")}),
        [error("/services/agent/overrides/app-1/state", f"the agent is not absent {BY_A_DOCUMENT}")],
    ),
    "two agents on one host": (
        with_agents(AGENT, replace(AGENT, service="other", placement=Placement(hosts=("app-1",)))),
        [error("/services/other/placement", "app-1 has an agent already, agent; place one of the two elsewhere")],
    ),
    "an agent on every host": (with_agents(AGENT), []),
    "control character in monitoring": (
        with_service(CACHE, monitoring={"job": "a\x00b"}),
        [error("/services/cache/monitoring/job", "'job' holds a control character; take it out")],
    ),
    "unknown value of monitoring": (
        with_service(CACHE, monitoring={"jop": "fleet"}),
        [
            error("/services/cache/monitoring/job", "value 'job' is required by redis, and missing"),
            error("/services/cache/monitoring/jop", "unknown value 'jop'; did you mean 'job'?"),
        ],
    ),
    "monitoring out of its bounds": (
        with_service(CACHE, monitoring={"job": "fleet", "interval": "1s"}),
        [error("/services/cache/monitoring/interval", "'interval' must be at least 5 seconds; it is 1")],
    ),
    "monitoring of a kind that wires nothing": (
        with_service(ORDERS, monitoring={"job": "fleet"}),
        [
            error(
                "/services/orders/monitoring",
                "java wires nothing by itself; what it is told stands under parameters: docs/monitoring.md",
            )
        ],
    ),
    "monitoring of what is taken over": (
        with_service(CACHE, state="adopted", packages={}, monitoring={"job": "fleet"}),
        [error("/services/cache/monitoring", "is wired once the service is installed, not adopted")],
    ),
    "a moment without a year": (
        replace(GOOD, hosts=(replace(APP_1, mode_until=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2)))), *REST)),
        [error("/hosts/app-1/mode_until", "is out of the years that UTC counts")],
    ),
    "half a character": (
        with_service(ORDERS, description="\ud800"),
        [
            error(
                "/services/orders",
                "holds half a character (a lone surrogate) somewhere; write the file as UTF-8 text",
            )
        ],
    ),
}
