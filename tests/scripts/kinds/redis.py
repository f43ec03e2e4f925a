"""Valkey, as Redis."""

from tests.middleware import valkey_archive
from tests.scripts.calling import Service
from tests.scripts.kinds.case import Case


def _password(service: Service) -> str:
    """As the server itself reads its file: the escapes of a quoted word."""
    line = next(
        line
        for line in (service.root / "etc/password.conf").read_text("utf-8").split("\n")
        if line.startswith("requirepass")
    )
    quoted = line.removeprefix('requirepass "').removesuffix('"')
    return quoted.replace("\\\\", "\0").replace('\\"', '"').replace("\0", "\\")


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
        ("replica_of", "primary:99999"),
        ("save", "900"),
        ("bind", "127.0.0.1\nport 1"),
        ("timeout", "soon"),
        ("colour", "blue"),
    ),
    arrives={"password": _password},
)
