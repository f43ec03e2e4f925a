"""Clusters on three VMs: what is declared for each kind, and how a client writes to it while something happens."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from msgspec import Struct

from tests.end_to_end.demo import catalogue
from tests.middleware import (
    Package,
    elasticsearch_archive,
    java_runtime_archive,
    kafka_archive,
    mariadb_archive,
    valkey_archive,
)
from tests.vm.host import Host
from tests.vm.waiting import until

EVERYWHERE = "0.0.0.0"  # noqa: S104 - the VMs' firewall keeps strangers away
WRITER = Path(__file__).with_name("writer.py")
CLIENT_LIMIT_S = 300


class Kind(Struct, frozen=True, kw_only=True):
    """What differs from kind to kind."""

    ports: tuple[int, ...]
    """At which members are reached; the first is that of clients."""
    versions: tuple[str, str]
    """What it begins with, and what it is upgraded to."""
    packages: Callable[[str], Mapping[str, Package]]
    """Of a version, by their roles."""
    parameters: Mapping[str, object]
    secrets: tuple[str, ...] = ()
    """All of them are the one password."""
    has_primary: bool = True
    """Clients write to the first member alone, and the others follow it."""
    open_files: int = 0
    """As many it must be told that it may open, or it does not start; a VM's true limit is the machine's."""


KINDS: Mapping[str, Kind] = {
    "elasticsearch": Kind(
        ports=(9200, 9300),
        versions=("7.17.29", "8.19.4"),
        packages=lambda version: {
            "server": elasticsearch_archive(version),
            "jdk": java_runtime_archive("21.0.8"),
        },
        parameters={
            "port": 9200,
            "bind": EVERYWHERE,
            "transport_port": 9300,
            "transport_bind": EVERYWHERE,
            "max_heap": "512mb",
            "watermarks": "97 98 99",
            "jvm_options": "-XX:TieredStopAtLevel=1",
            "extra": "node.store.allow_mmap: false",  # a VM of these may not set vm.max_map_count
            "start_timeout": "10m",
        },
        has_primary=False,
        open_files=65535,
    ),
    "kafka": Kind(
        ports=(9092, 9093),
        versions=("3.9.1", "4.1.0"),
        packages=lambda version: {"server": kafka_archive(version), "jdk": java_runtime_archive("21.0.8")},
        parameters={
            "port": 9092,
            "bind": EVERYWHERE,
            "controller_port": 9093,
            "controller_bind": EVERYWHERE,
            "cluster_id": "towline-cluster-000001",
            "metadata_version": "3.9",
            "max_heap": "256mb",
            "partitions": 3,
            "replication": 3,
            "min_insync_replicas": 2,
            "auto_create_topics": True,
        },
        has_primary=False,
    ),
    "mysql": Kind(
        ports=(3306,),
        versions=("10.11.19", "11.8.9"),
        packages=lambda version: {"server": mariadb_archive(version)},
        parameters={
            "port": 3306,
            "bind": EVERYWHERE,
            "buffer_pool_size": "32mb",
            "database": "shop",
            "user": "app",
            "replication_user": "replica",
        },
        secrets=("root_password", "user_password", "replication_password"),
    ),
    "redis": Kind(
        ports=(6379,),
        versions=("9.0.0", "9.1.2"),
        packages=lambda version: {"server": valkey_archive(version)},
        parameters={"port": 6379, "bind": EVERYWHERE, "maxmemory": "16mb", "appendonly": True},
        secrets=("password",),
    ),
}


class Cluster:
    """Its members, the first of them the primary where there is one."""

    def __init__(self, kind: str, hosts: Sequence[Host], password: str) -> None:
        self.kind, self.hosts, self.password = kind, tuple(hosts), password
        self.name = f"{kind}-shared"
        self.how = KINDS[kind]
        self._next = 1

    def declare(self, version: str) -> None:
        """All members shall have this version."""
        packages = self.how.packages(version)
        named = {role: f"{package.name}-{package.version}" for role, package in packages.items()}
        entry = catalogue.service(
            self.name, self.kind, version, "-", packages=named, parameters=dict(self.how.parameters)
        )
        told = "".join(f"    {host.name}: {{id: {number}}}\n" for number, host in enumerate(self.hosts, 1))
        told += f"  primary: {self.hosts[0].name}\n" if self.how.has_primary else ""
        entry = entry.replace("placement: {hosts: [-]}\n", f"cluster:\n  members:\n{told}")
        if self.how.secrets:
            entry += f"secrets: {{{', '.join(f'{name}: shared' for name in self.how.secrets)}}}\n"
        self.hosts[0].site.declare(None, **{self.name: entry})

    @contextmanager
    def written(self, what: str, measured: Callable[[str], None]) -> Iterator[None]:
        """While the block runs a client writes; afterwards every acknowledged number is on every member."""
        first = self._next
        process = self._client(self.hosts[0] if self.how.has_primary else None, first)
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "writes\n"
            yield
            found = json.loads(process.communicate("stop\n", timeout=CLIENT_LIMIT_S)[0])
        finally:
            process.kill()  # where something else went wrong it would write on
            process.wait()
        count = int(found["acknowledged"])
        assert count > 0
        self._next += count
        for member in self.hosts:
            until(f"{member.name} has all", partial(self._has_all, member, first, self._next - 1))
        measured(
            f"{self.kind}, {what}: {count} writes acknowledged, none lost, longest pause {found['longest_pause_s']} s"
        )

    def until_converged(self) -> None:
        """Each member has reached its document, and its service is well."""
        for host in self.hosts:
            host.until_converged()

    def started(self) -> dict[str, tuple[int, str]]:
        """When each member's process was started, by the clock that all VMs share, and its pid there."""
        found = {}
        for host in self.hosts:
            (process,) = host.services().values()
            pid, _, start = process.partition(".")
            found[host.name] = (int(start), pid)
        return found

    def _has_all(self, member: Host, first: int, last: int) -> bool:
        asked = self._client(member, first, last)
        return asked.communicate(timeout=CLIENT_LIMIT_S)[0].strip() == "[]"

    def _client(self, member: Host | None, *numbers: int) -> "subprocess.Popen[str]":
        """A client in the third member's network that talks to this one; None: to all of them."""
        last = self.hosts[-1]
        enter = ("ip", "netns", "exec", last.lab.network.namespace(last.name), sys.executable, str(WRITER))
        places = ",".join(
            f"{host.machine.address}:{self.how.ports[0]}" for host in ([member] if member else self.hosts)
        )
        asked = (*enter, self.kind, places, *map(str, numbers))
        process = subprocess.Popen(asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        process.stdin.write(f"{self.password}\n")
        process.stdin.flush()
        return process
