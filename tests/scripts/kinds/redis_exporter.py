"""The exporter of Redis' metrics, beside a Valkey that it asks."""

import json

from tests.middleware import redis_exporter_archive, valkey_archive
from tests.scripts.calling import Service
from tests.scripts.kinds.case import Case, Real, Software
from tests.scripts.kinds.http import body_of
from tests.servers.process import free_port

PASSWORD = 'canary-"pässword"-\\-$(id)'


def beside_valkey(service: Service) -> None:
    """A real Valkey in a prefix of its own, one for all services of this folder; from now on the service asks it."""
    folder = service.folder / "beside"
    known = folder / "port"
    port = known.read_text() if known.exists() else str(free_port())
    service.parameters.setdefault("target", f"127.0.0.1:{port}")
    if known.exists():
        return
    valkey = Service(
        kind="redis",
        name="cache",
        folder=folder,
        version="9.1.2",
        packages={"server": valkey_archive("9.1.2")},
        parameters={"port": port, "maxmemory": "32mb"},
        secrets={"password": PASSWORD},
    )
    valkey.do("install", "configure", "start")
    known.write_text(port)


def _password(service: Service) -> str:
    """As the exporter reads its file."""
    held: dict[str, str] = json.loads((service.root / "etc/password.json").read_text("utf-8"))
    return next((text for key, text in held.items() if key.startswith("redis://")), "")


def _probe(service: Service) -> str:
    lines = body_of(service, "/metrics").splitlines()
    assert "redis_up 1" in lines
    assert [line for line in lines if line.startswith("redis_memory_max_bytes 3.3554432e+07")]
    return "GET /metrics: redis_up 1"


def _software(version: str) -> Software:
    return Software(
        name="redis_exporter",
        version=version,
        packages=lambda: {"server": redis_exporter_archive(version)},
        prepare=beside_valkey,
    )


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
    prepare=beside_valkey,
    real=Real(
        software=(_software("1.45.0"), _software("1.69.0")),
        probe=_probe,
        restarted={"extra": "--include-system-metrics\n--count-keys=db0=cart:*"},
        cost_s=10,
    ),
)
