"""A Sentinel that watches a primary which nobody has: it waits an hour before it says so."""

import os
import signal
from pathlib import Path

from tests.middleware import redis_archive, valkey_archive
from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.case import Case, Real, Software
from tests.scripts.kinds.redis import ask
from tests.scripts.kinds.together import WAIT_S, Together, start_together
from tests.servers.process import free_port


def _probe(service: Service) -> str:
    (said,) = ask(service, ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "primary"))
    return f"SENTINEL GET-MASTER-ADDR-BY-NAME: {said}"


def _password(service: Service) -> str:
    """As the server itself reads its file: the escapes of a quoted word."""
    text = (service.root / "etc/password.conf").read_text("utf-8")
    quoted = text.partition('sentinel auth-pass primary "')[2].rstrip("\n").removesuffix('"')
    return quoted.replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\")


def _software(name: str, version: str) -> Software:
    archive = valkey_archive if name == "Valkey" else redis_archive
    return Software(name=name, version=version, packages=lambda: {"server": archive(version)})


def three_of_each(software: Software, folder: Path) -> tuple[list[Service], list[Service]]:
    """A primary with two replicas, and three Sentinels; as their documents tell them."""
    data, watching = ([f"127.0.0.1:{free_port()}" for _ in range(3)] for _ in range(2))
    primary = data[0]

    def made(kind: str, name: str, own: str, all_of_it: list[str], **parameters: str) -> Service:
        peers = ",".join(other for other in all_of_it if other != own)
        return Service(
            kind=kind,
            name=name,
            folder=folder,
            version=software.version,
            packages=software.packages(),
            parameters={"port": own.rpartition(":")[2], "peers": peers, **parameters},
            secrets=CASE.secrets,
        )

    servers = [
        made("redis", f"data-{number}", own, data, failover="sentinel", replica_of="" if own == primary else primary)
        for number, own in enumerate(data, start=1)
    ]
    soon = {"down_after": "2s", "failover_timeout": "10s"}
    sentinels = [
        made("redis_sentinel", f"watch-{number}", own, watching, primary=primary, **soon)
        for number, own in enumerate(watching, start=1)
    ]
    return servers, sentinels


def _primary_of(sentinel: Service) -> str:
    return ask(sentinel, ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "primary"))[0]


def _as_user(server: Service, *command: str) -> str:
    return ask(server, ("AUTH", server.secrets["password"]), command)[1]


def cluster(software: Software, folder: Path) -> str:
    """The primary is killed, and the Sentinels put another one in its place; then one of them is killed, and missed."""
    servers, sentinels = three_of_each(software, folder)
    for service in servers:
        service.do("install", "configure", "start")
    watching = Together(
        members=sentinels,
        # What they are told is which primary there is; all of them must come to say the same.
        write=lambda sentinel, _: None,
        read=lambda sentinel: [_primary_of(sentinel)],
    )
    data = Together(
        members=servers,
        write=lambda server, text: _kept(_as_user(server, "RPUSH", "told", text)),
        read=lambda server: _as_user(server, "LRANGE", "told", "0", "-1").split(),
    )
    watching.form()
    data.are_well()
    data.tell(0, "first")
    first = _primary_of(sentinels[0])
    os.kill(servers[0].process(), signal.SIGKILL)
    assert eventually(WAIT_S, lambda: _primary_of(sentinels[0]) != first), "nobody takes the lost primary's place"
    second = _primary_of(sentinels[0])
    watching.all_tell(second)
    (promoted,) = [number for number, server in enumerate(servers) if server.parameters["port"] == second.split()[1]]
    data.tell(promoted, "second")
    start_together([servers[0]])
    data.are_well()
    data.all_tell("second")
    assert _as_user(servers[0], "ROLE").startswith("slave"), "the lost primary came back as a primary"
    missed = "2 of 3 Sentinels can be used"
    watching.lose(2, missed).comes_back(2, second)
    return (
        "three, over a primary and two replicas: the primary killed with -9, all name another one, which has all that "
        "the first was told; the first comes back as its replica; one of the three killed with -9, the others say: "
        f"{missed}; it comes back"
    )


def _kept(answer: str) -> None:
    assert answer.startswith(":"), answer


CASE = Case(
    version="9.1.2",
    packages=lambda: {"server": valkey_archive("9.1.2")},
    parameters=lambda port: {"port": str(port), "primary": "127.0.0.1:1", "quorum": "1", "down_after": "1h"},
    secrets={"password": 'canary-"pässword"-\\-$(id)'},
    secret_files=frozenset({"etc/password.conf", "data/sentinel.conf"}),
    bad=(
        ("port", "0"),
        ("bind", "localhost\nport 1"),
        ("group", "my primary"),
        ("primary", ""),
        ("primary", "redis-1"),
        ("quorum", "0"),
        ("down_after", "0s"),
        ("failover_timeout", "soon"),
        ("parallel_syncs", "all"),
        ("peers", "a:1,b"),
        ("loglevel", "loud"),
        ("colour", "blue"),
    ),
    own_writing=("log/", "data/"),
    arrives={"password": _password},
    real=Real(
        software=(_software("Redis", "6.2.14"), _software("Valkey", "9.0.0"), _software("Valkey", "9.1.2")),
        probe=_probe,
        restarted={"parallel_syncs": "2"},
        cluster=cluster,
        cost_s=90,
    ),
)
