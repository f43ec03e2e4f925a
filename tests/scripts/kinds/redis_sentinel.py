"""A Sentinel that watches a primary which nobody has: it waits an hour before it says so."""

from tests.middleware import redis_archive, valkey_archive
from tests.scripts.calling import Service
from tests.scripts.kinds.case import Case, Real, Software
from tests.scripts.kinds.redis import ask


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
        cost_s=15,
    ),
)
