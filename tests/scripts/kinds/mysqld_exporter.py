"""The exporter of MySQL's metrics: beside a real MariaDB in `nox -s middleware`, else beside a stand-in."""

import re
import subprocess
import sys
from pathlib import Path

from tests.middleware import mariadb_archive, mysqld_exporter_archive
from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.beside import asks, exporters, real
from tests.scripts.kinds.case import Case, Neighbour, Real
from tests.scripts.kinds.http import body_of
from tests.servers.process import listens

PASSWORD = 'canary-"pässword"-\\-\'-$(id);#`'
MARIADB = Neighbour(
    kind="mysql",
    name="orders",
    version="10.11.19",
    packages=lambda: {"server": mariadb_archive("10.11.19")},
    parameters={"buffer_pool_size": "32mb", "monitor_user": "monitor"},
    secrets={"monitor_password": PASSWORD},
)
_STAND_IN = Path(__file__).resolve().parents[2] / "middleware/mysql_stand_in.py"


def _stand_in(folder: Path, port: str) -> None:
    """A server that lets the account in."""
    (folder / "password").write_text(PASSWORD)
    with (folder / "out").open("wb") as out:
        subprocess.Popen([sys.executable, str(_STAND_IN), port, "monitor"], cwd=folder, stdout=out, stderr=out)
    assert eventually(60, lambda: listens(int(port))), (folder / "out").read_text()


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
    prepare=asks(_stand_in),
    asks=MARIADB,
    real=Real(
        software=exporters(
            "mysqld_exporter",
            *("0.12.1", "0.14.0", "0.17.2"),
            archive=mysqld_exporter_archive,
            prepare=asks(real(MARIADB)),
        ),
        probe=_probe,
        restarted={"collectors_on": "info_schema.processlist", "extra": "--exporter.lock_wait_timeout=3"},
        cost_s=40,
    ),
)
