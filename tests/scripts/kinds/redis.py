"""Redis and Valkey."""

import socket
from contextlib import closing
from pathlib import Path
from typing import IO, cast

from tests.middleware import debian_redis_archive, redis_archive, valkey_archive
from tests.scripts.calling import Service
from tests.scripts.kinds.case import Case, Real, Software
from tests.scripts.kinds.together import Together
from tests.servers.process import free_port


def _password(service: Service) -> str:
    """As the server itself reads its file: the escapes of a quoted word."""
    line = next(
        line
        for line in (service.root / "etc/password.conf").read_text("utf-8").split("\n")
        if line.startswith("requirepass")
    )
    quoted = line.removeprefix('requirepass "').removesuffix('"')
    return quoted.replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\")


def ask(service: Service, *commands: tuple[str, ...]) -> list[str]:
    """Each command's answer, by a client that is not the script's."""
    answers = []
    with closing(socket.create_connection(("127.0.0.1", int(service.parameters["port"])), timeout=10)) as line:
        stream = cast("IO[bytes]", line.makefile("rwb"))
        for command in commands:
            words = [word.encode() for word in command]
            stream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
            stream.flush()
            answers.append(_answer(stream))
    return answers


def _answer(stream: IO[bytes]) -> str:
    first = stream.readline().decode().rstrip("\r\n")
    if first.startswith("$") and first != "$-1":
        return stream.read(int(first[1:]) + 2)[:-2].decode()
    if first.startswith("*"):
        return " ".join(_answer(stream) for _ in range(int(first[1:])))
    return first


def _as_user(service: Service, *command: str) -> str:
    return ask(service, ("AUTH", service.secrets["password"]), command)[1]


def _write(service: Service) -> None:
    assert _as_user(service, "SET", "kept", "by towline") == "+OK"
    assert _as_user(service, "SAVE") == "+OK"


_OF_DEBIAN = frozenset({"6.0.16", "7.0.15", "8.0.2"})


def _software(name: str, version: str, refuses: str = "", after: Software | None = None) -> Software:
    of_redis = debian_redis_archive if version in _OF_DEBIAN else redis_archive
    archive = valkey_archive if name == "Valkey" else of_redis
    return Software(
        name=name, version=version, packages=lambda: {"server": archive(version)}, refuses=refuses, after=after
    )


_LAST_FREE = _software("Redis", "7.0.15", refuses="Wrong signature trying to load DB from file")
"""Where Valkey branched off: it takes this one's data, and not those of Redis 8."""


def _three(software: Software, folder: Path) -> list[Service]:
    """A primary and two replicas, as their documents tell them; what is acknowledged is written down."""
    at = [f"127.0.0.1:{free_port()}" for _ in range(3)]
    return [
        Service(
            kind="redis",
            name=f"member-{number}",
            folder=folder,
            version=software.version,
            packages=software.packages(),
            parameters={
                **CASE.parameters(int(own.rpartition(":")[2])),
                "appendonly": "true",
                "replica_of": "" if number == 1 else at[0],
                "peers": ",".join(other for other in at if other != own),
            },
            secrets=CASE.secrets,
        )
        for number, own in enumerate(at, start=1)
    ]


def cluster(software: Software, folder: Path) -> str:
    """A replica is killed, and missed by its primary; then the primary, and its replicas name it."""
    members = _three(software, folder)
    together = Together(
        members=members,
        write=lambda service, text: _is(_as_user(service, "RPUSH", "told", text)),
        read=lambda service: _as_user(service, "LRANGE", "told", "0", "-1").split(),
    )
    missed, unlinked = "1 of 2 replicas are connected", "has no link to its primary"
    together.form().tell(0, "first").lose(2, missed).tell(0, "second").comes_back(2, "second")
    together.lose(0, f"{unlinked} 127.0.0.1:{members[0].parameters['port']}", everybody=True).comes_back(0, "second")
    return (
        "primary and two replicas: what it is told, all tell; a replica killed with -9, the primary says: "
        f"{missed}; the primary killed with -9, each replica {unlinked} HOST:PORT; each comes back, nothing is lost"
    )


def _is(answer: str) -> None:
    assert answer.startswith(":"), answer


CASE = Case(
    version="9.1.2",
    packages=lambda: {"server": valkey_archive("9.1.2")},
    parameters=lambda port: {"port": str(port), "maxmemory": "32mb"},
    secrets={"password": 'canary-"pässword"-\\-$(id)'},
    secret_files=frozenset({"etc/password.conf"}),
    bad=(
        ("port", "0"),
        ("port", "65536"),
        ("port", "6379 "),
        ("maxmemory", "64 mb"),
        ("maxmemory", "1kb"),
        ("maxmemory_policy", "some"),
        ("appendonly", "yes"),
        ("replica_of", "primary"),
        ("failover", "yes"),
        ("peers", "a:1,b"),
        ("replica_of", "primary:99999"),
        ("save", "900"),
        ("bind", "127.0.0.1\nport 1"),
        ("timeout", "soon"),
        ("colour", "blue"),
    ),
    arrives={"password": _password},
    real=Real(
        software=(
            _software("Redis", "5.0.6"),
            _software("Redis", "6.0.16"),
            _software("Redis", "6.2.14", refuses="Can't handle RDB format version 10"),
            _software("Redis", "7.0.15", refuses="Can't handle RDB format version 12"),
            _software("Redis", "8.0.2"),
            _software("Valkey", "9.0.0", after=_LAST_FREE),
            _software("Valkey", "9.1.2"),
        ),
        probe=lambda service: f"PING: {_as_user(service, 'PING').removeprefix('+')}",
        write=_write,
        read=lambda service: _as_user(service, "GET", "kept") == "by towline",
        restarted={"databases": "4"},
        reloaded={"maxmemory": "64mb", "maxmemory_policy": "allkeys-lru"},
        cluster=cluster,
        cost_s=140,
    ),
)
