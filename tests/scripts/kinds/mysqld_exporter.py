"""The exporter of MySQL's metrics: beside a real MariaDB in `nox -s middleware`, else beside a stand-in."""

import re
import subprocess
import sys
from pathlib import Path

from tests.middleware import mariadb_archive, mysqld_exporter_archive
from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.case import Case, Real, Software
from tests.scripts.kinds.http import body_of
from tests.servers.process import free_port, listens

PASSWORD = 'canary-"pässword"-\\-\'-$(id);#`'
_STAND_IN = Path(__file__).resolve().parents[2] / "middleware/mysql_stand_in.py"


def beside_stand_in(service: Service) -> None:
    """A server that lets the account in, one for all services of this folder; from now on the service asks it."""
    folder = service.folder / "beside"
    known = folder / "port"
    port = known.read_text() if known.exists() else str(free_port())
    service.parameters.setdefault("target", f"127.0.0.1:{port}")
    if known.exists():
        return
    folder.mkdir(parents=True)
    (folder / "password").write_text(PASSWORD)
    with (folder / "out").open("wb") as out:
        subprocess.Popen([sys.executable, str(_STAND_IN), port, "monitor"], cwd=folder, stdout=out, stderr=out)
    assert eventually(60, lambda: listens(int(port))), (folder / "out").read_text()
    known.write_text(port)


def beside_mariadb(service: Service) -> None:
    """A real MariaDB in a prefix of its own, with the account that its script makes for an exporter."""
    port = str(free_port())
    mariadb = Service(
        kind="mysql",
        name="orders",
        folder=service.folder / "beside",
        version="10.11.19",
        packages={"server": mariadb_archive("10.11.19")},
        parameters={"port": port, "buffer_pool_size": "32mb", "monitor_user": "monitor"},
        secrets={"monitor_password": PASSWORD},
    )
    mariadb.do("install", "configure", "start")
    service.parameters["target"] = f"127.0.0.1:{port}"


def _password(service: Service) -> str:
    """As the exporter reads its file: all between the first three quotes and the last."""
    found = re.search(r'^password = """(.*)"""$', (service.root / "etc/my.cnf").read_text("utf-8"), re.MULTILINE)
    return found[1] if found else ""


def _probe(service: Service) -> str:
    shown = body_of(service, "/metrics")
    assert re.search(r"^mysql_up 1$", shown, re.MULTILINE)
    assert re.search(r"^mysql_global_status_uptime \d", shown, re.MULTILINE)
    assert re.search(r"^mysql_global_variables_innodb_buffer_pool_size 3\.3554432e\+07$", shown, re.MULTILINE)
    return "GET /metrics: mysql_up 1"


def _software(version: str) -> Software:
    return Software(
        name="mysqld_exporter",
        version=version,
        packages=lambda: {"server": mysqld_exporter_archive(version)},
        prepare=beside_mariadb,
    )


CASE = Case(
    version="0.17.2",
    packages=lambda: {"server": mysqld_exporter_archive("0.17.2")},
    parameters=lambda port: {"port": str(port), "bind": "127.0.0.1"},
    secrets={"password": PASSWORD},
    secret_files=frozenset({"etc/my.cnf"}),
    bad=(
        ("port", "0"),
        ("bind", "localhost"),
        ("target", "orders-db"),
        ("target", "[::1]:3306"),
        ("user", "a b"),
        ("user", ""),
        ("collectors_on", "x;id"),
        ("collectors_off", "--web"),
        ("extra", "--collect.nope"),
        ("extra", "mysqld_exporter"),
        ("extra", "--config.my-cnf=/etc/my.cnf"),
        ("extra", "--no-web.systemd-socket"),
        ("colour", "blue"),
    ),
    arrives={"password": _password},
    prepare=beside_stand_in,
    real=Real(
        software=(_software("0.12.1"), _software("0.14.0"), _software("0.17.2")),
        probe=_probe,
        restarted={"collectors_on": "info_schema.processlist", "extra": "--exporter.lock_wait_timeout=3"},
        cost_s=40,
    ),
)
