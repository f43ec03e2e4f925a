"""MariaDB and MySQL."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.middleware import mariadb_archive, mysql_archive
from tests.scripts.calling import Service
from tests.scripts.kinds.case import Case, Real, Software
from tests.scripts.kinds.together import Together
from tests.servers.process import free_port


def ask(service: Service, sql: str, user: str = "app") -> str:
    """What the software's own client is told, over TCP and as the application; its rows, or its error."""
    bin_folder = service.root / "current" / "bin"
    client = next(path for path in (bin_folder / "mariadb", bin_folder / "mysql") if path.exists())
    password = (
        service.secrets["root_password" if user == "root" else "user_password"]
        .replace("\\", "\\\\")
        .replace('"', '\\"')
    )
    login = service.scratch / "login.cnf"
    login.touch(mode=0o600)
    login.write_text(f'[client]\nuser={user}\npassword="{password}"\n')
    command = [str(client), f"--defaults-file={login}", f"--character-sets-dir={service.root}/current/share/charsets"]
    command += ["--default-character-set=utf8mb4", "--batch", "--skip-column-names"]
    if user == "root":
        command += [f"--socket={service.root}/run/mysql/mysql.sock"]
    else:
        command += ["--protocol=tcp", "--host=127.0.0.1", f"--port={service.parameters['port']}"]
    said = subprocess.run([*command, "-e", sql], capture_output=True, text=True, timeout=60, check=False)
    return (said.stdout + said.stderr).strip()


def _password_of(account: str) -> Callable[[Service], str]:
    """As the server reads the statement: the escapes of a text in SQL."""

    def read(service: Service) -> str:
        text = (service.root / "etc/accounts.sql").read_text("utf-8")
        found = re.search(rf"^ALTER USER '{account}'@'[^']*' IDENTIFIED BY '(.*)' ACCOUNT UNLOCK;$", text, re.MULTILINE)
        return re.sub(r"\\(.)", r"\1", found[1]) if found else ""

    return read


def _probe(service: Service) -> str:
    version = ask(service, "SELECT VERSION()")
    assert ask(service, "SELECT 6 * 7") == "42"
    return f"SELECT VERSION(): {version.partition('-')[0]}"


def _write(service: Service) -> None:
    said = ask(
        service, "CREATE TABLE shop.kept (id INT PRIMARY KEY, t TEXT); INSERT INTO shop.kept VALUES (1, 'by towline')"
    )
    assert said == "", said


def _mariadb(version: str, refuses: str = "") -> Software:
    return Software(
        name="MariaDB",
        version=version,
        packages=lambda: {"server": mariadb_archive(version)},
        refuses=refuses,
        refused_by="the script",
    )


_MYSQL = Software(name="MySQL", version="9.7.4", packages=lambda: {"server": mysql_archive("9.7.4")}, first=True)


SECRETS = {
    "root_password": "canary-root-\\-'ü'-$(id)",
    "user_password": 'canary-"pässword"-\\-\'-$(id)',
    "replication_password": "canary-of-replication",
}


def _three(software: Software, folder: Path) -> list[Service]:
    """A primary and two replicas, as their documents tell them."""
    at = [f"127.0.0.1:{free_port()}" for _ in range(3)]
    return [
        Service(
            kind="mysql",
            name=f"member-{number}",
            folder=folder,
            version=software.version,
            packages=software.packages(),
            parameters={
                **CASE.parameters(int(own.rpartition(":")[2])),
                "server_id": str(number),
                "replica_of": "" if number == 1 else at[0],
                "peers": ",".join(other for other in at if other != own),
            },
            secrets=SECRETS,
        )
        for number, own in enumerate(at, start=1)
    ]


def _tell(service: Service, text: str) -> None:
    made = ask(service, "CREATE TABLE IF NOT EXISTS shop.told (t VARCHAR(40))")
    said = ask(service, f"INSERT INTO shop.told VALUES ('{text}')")  # noqa: S608  a word of ours
    assert (made, said) == ("", ""), (made, said)


def cluster(software: Software, folder: Path) -> str:
    """A replica is killed, and missed by its primary; then the primary, and its replicas name it."""
    members = _three(software, folder)
    together = Together(
        members=members, write=_tell, read=lambda service: ask(service, "SELECT t FROM shop.told").splitlines()
    )
    missed, stopped = "1 of 2 replicas are connected", "does not replicate from"
    together.form().tell(0, "first").lose(2, missed).tell(0, "second").comes_back(2, "second")
    together.lose(0, f"{stopped} 127.0.0.1:{members[0].parameters['port']}", everybody=True).comes_back(0, "second")
    return (
        "primary and two replicas: what it is told, all tell; a replica killed with -9, the primary says: "
        f"{missed}; the primary killed with -9, each replica {stopped} HOST:PORT; each comes back, nothing is lost"
    )


CASE = Case(
    version="10.11.19",
    packages=lambda: {"server": mariadb_archive("10.11.19")},
    parameters=lambda port: {
        "port": str(port),
        "buffer_pool_size": "32mb",
        "database": "shop",
        "user": "app",
        "replication_user": "replica",
        "extra": "table_open_cache = 400",
    },
    secrets=SECRETS,
    secret_files=frozenset({"etc/accounts.sql"}),
    bad=(
        ("port", "0"),
        ("bind", "localhost"),
        ("server_id", "0"),
        ("buffer_pool_size", "1mb"),
        ("character_set", "utf8; x"),
        ("sql_mode", "strict"),
        ("binlog", "yes"),
        ("flush_at_commit", "3"),
        ("replica_of", "primary"),
        ("replication_user", "app"),
        ("database", "shop`"),
        ("user", "root"),
        ("user", "o'neill"),
        ("monitor_user", "app"),
        ("monitor_user", "towline"),
        ("user_from", "'"),
        ("wait_timeout", "soon"),
        ("extra", "datadir = /"),
        ("extra", "loose-plugin_load = x.so"),
        ("extra", "init-f = /etc/passwd"),
        ("extra", "[mysqld_safe]"),
        ("extra", "!include /etc/my.cnf"),
        ("extra", "no_such_thing = 1"),
        ("colour", "blue"),
    ),
    own_writing=("log/", "data/db/"),
    arrives={"user_password": _password_of("app"), "root_password": _password_of("root")},
    real=Real(
        software=(
            _mariadb("10.5.29", refuses="10.5 does not take it back"),
            _mariadb("10.11.19", refuses="10.11 does not take it back"),
            _mariadb("11.8.9"),
            _MYSQL,
        ),
        probe=_probe,
        write=_write,
        read=lambda service: ask(service, "SELECT t FROM shop.kept") == "by towline",
        restarted={"extra": "table_open_cache = 500\n# few tables"},
        reloaded={"buffer_pool_size": "64mb", "slow_log": "true"},
        cluster=cluster,
        cost_s=360,
    ),
)
