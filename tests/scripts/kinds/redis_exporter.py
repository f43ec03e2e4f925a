"""The exporter of Redis' metrics, beside a Valkey that it asks."""

import json

from tests.middleware import redis_exporter_archive, valkey_archive
from tests.scripts.calling import Service
from tests.scripts.kinds.beside import asks, exporters, real
from tests.scripts.kinds.case import Case, Neighbour, Real
from tests.scripts.kinds.http import body_of

PASSWORD = 'canary-"pässword"-\\-$(id)'
VALKEY = Neighbour(
    kind="redis",
    name="cache",
    version="9.1.2",
    packages=lambda: {"server": valkey_archive("9.1.2")},
    parameters={"maxmemory": "32mb"},
    secrets={"password": PASSWORD},
)


def _password(service: Service) -> str:
    """As the exporter reads its file."""
    held: dict[str, str] = json.loads((service.root / "etc/password.json").read_text("utf-8"))
    return next((text for key, text in held.items() if key.startswith("redis://")), "")


def _probe(service: Service) -> str:
    lines = body_of(service, "/metrics").splitlines()
    assert "redis_up 1" in lines
    assert [line for line in lines if line.startswith("redis_memory_max_bytes 3.3554432e+07")]
    return "GET /metrics: redis_up 1"


CASE = Case(
    version="1.69.0",
    packages=lambda: {"server": redis_exporter_archive("1.69.0")},
    parameters=lambda port: {"port": str(port), "bind": "127.0.0.1"},
    secrets={"password": PASSWORD},
    secret_files=frozenset({"etc/password.json"}),
    bad=(
        ("port", "0"),
        ("bind", "localhost"),
        ("target", "cache"),
        ("user", "a b"),
        ("extra", "--no-such-thing"),
        ("extra", "redis_exporter"),
        ("extra", "--web.listen-address=:1"),
        ("extra", "--redis.password=x"),
        ("extra", "--namespace=other"),
        ("colour", "blue"),
    ),
    arrives={"password": _password},
    prepare=asks(real(VALKEY)),
    asks=VALKEY,
    real=Real(
        software=exporters(
            "redis_exporter", "1.45.0", "1.69.0", archive=redis_exporter_archive, prepare=asks(real(VALKEY))
        ),
        probe=_probe,
        restarted={"extra": "--include-system-metrics\n--count-keys=db0=cart:*"},
        cost_s=10,
    ),
)
