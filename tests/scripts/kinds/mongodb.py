"""MongoDB, alone: no registry carries a mongod, so SecantusDB stands in its place (tests/middleware/mongodb.py)."""

from typing import Any

from pymongo import MongoClient

from tests.middleware import mongodb_archive
from tests.scripts.calling import Service
from tests.scripts.kinds.case import Case, Real, Software


def client(service: Service, user: str = "app", password: str | None = None) -> MongoClient[dict[str, Any]]:
    """One of the declared accounts; its declared password, unless another one is said."""
    secret, source = {"app": ("user_password", "shop"), "root": ("root_password", "admin")}[user]
    return MongoClient(
        "127.0.0.1",
        int(service.parameters["port"]),
        directConnection=True,
        serverSelectionTimeoutMS=20_000,
        username=user,
        password=service.secrets[secret] if password is None else password,
        authSource=source,
    )


def _probe(service: Service) -> str:
    with client(service) as one:
        assert one.admin.command("ping")["ok"] == 1
        one.shop.probe.insert_one({"word": "probe"})
        assert one.shop.probe.delete_many({"word": "probe"}).deleted_count == 1
        version = one.server_info()["version"]
    return f"hello: {version}; a document is written, read and deleted by an account that logs in"


def _write(service: Service) -> None:
    with client(service) as one:
        one.shop.kept.insert_one({"_id": 1, "text": "by towline"})


def _read(service: Service) -> bool:
    with client(service) as one:
        found = one.shop.kept.find_one({"_id": 1})
    return found is not None and found["text"] == "by towline"


def _account(name: str, service: Service) -> str:
    """As the script itself reads its file."""
    lines = (service.root / "etc/accounts").read_text("utf-8").split("\n")
    return next((line.partition("=")[2] for line in lines if line.startswith(f"{name}=")), "")


def _extra(service: Service) -> str:
    """What the configuration made of it: nothing is left out where it is taken at all."""
    text = (service.root / "etc/mongod.conf").read_text("utf-8")
    return text.partition("systemLog.verbosity: 0\n")[2]


SECRETS = {"root_password": "canary-root-\\-'\"-$(id)", "user_password": 'canary-"pässword"-\\-\'-$(id)'}
CASE = Case(
    version="8.2.11",
    packages=lambda: {"server": mongodb_archive("8.2.11")},
    parameters=lambda port: {"port": str(port), "cache_size": "256mb", "database": "shop", "user": "app"},
    secrets=SECRETS,
    secret_files=frozenset({"etc/accounts"}),
    bad=(
        ("port", "0"),
        ("bind", "localhost"),
        ("data_folder", "../db"),
        ("cache_size", "1mb"),
        ("slow_after", "0s"),
        ("log_verbosity", "6"),
        ("feature_version", "latest"),
        ("root_user", "o'neill"),
        ("database", "shop.orders"),
        ("user_roles", "readWrite;"),
        ("members", "127.0.0.1:27017"),
        ("advertised", "a b"),
        ("oplog_size", "1mb"),
        ("max_lag", "soon"),
        ("extra", "net.port: 1"),
        ("extra", "net:\n  tls:\n    mode: disabled"),
        ("extra", "security:\n  keyFile: /etc/passwd"),
        ("extra", "storage.engine: {__exec: id}"),
        ("extra", "a: *b"),
        ("extra", "storage.syncPeriodSecs: 60\nstorage:\n  syncPeriodSecs: 61"),
        ("extra", "no.such: thing"),
        ("colour", "blue"),
    ),
    arrives={"user_password": lambda service: _account("user_password", service)},
    own_writing=("log/", "data/"),
    data="data/kept",
    real=Real(
        software=(
            Software(
                name="SecantusDB 0.7 under the name of mongod",
                version="8.2.11",
                packages=lambda: {"server": mongodb_archive("8.2.11")},
                layout_only=True,
            ),
        ),
        probe=_probe,
        write=_write,
        read=_read,
        restarted={"cache_size": "320mb", "extra": "storage:\n  journal:\n    commitIntervalMs: 200"},
        reloaded={"user_roles": "readWrite, dbAdmin"},
        cost_s=30,
    ),
)
