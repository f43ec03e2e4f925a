"""mysqlctl.sh against real MariaDB and MySQL."""

import os
import random
import signal
from pathlib import Path

import pytest

from puller.kinds.traces import tree
from tests.middleware import Package, mariadb_archive, mysql_archive
from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.mysql import SECRETS, ask
from tests.servers.process import free_port

ARCHIVES = {"10.11.19": mariadb_archive, "9.7.4": mysql_archive}


def server(folder: Path, name: str = "db", version: str = "10.11.19", **parameters: str) -> Service:
    return Service(
        kind="mysql",
        name=name,
        folder=folder,
        version=version,
        packages=packages_of(version),
        parameters={
            "port": str(free_port()),
            "buffer_pool_size": "32mb",
            "database": "shop",
            "user": "app",
            "replication_user": "replica",
            **parameters,
        },
        secrets=SECRETS,
    )


def packages_of(version: str) -> dict[str, Package]:
    return {"server": ARCHIVES[version](version)}


def refused(answer: str) -> bool:
    return "Access denied" in answer or "locked" in answer


@pytest.mark.parametrize("version", ARCHIVES)
def test_a_new_password_takes_hold_by_a_reload(folder: Path, version: str) -> None:
    """Byte for byte, whatever it is; without one the account is locked; always the same process."""
    service = server(folder, version=version)
    service.do("install", "configure", "start")
    before = service.status().identity
    for password in ("plain", 'a"b\\c', "$(id) `id` ${x}", "ünï ☃ 🚀", "'single' # not -- a comment;", "x" * 128):
        service.secrets = {**SECRETS, "user_password": password, "root_password": f"r{password}"[:128]}
        service.do("configure")
        assert ("degraded", "runs with an earlier configuration") == _state_and_reason(service)
        assert "1" == service.do("reload").changed
        assert "app" == ask(service, "SELECT SUBSTRING_INDEX(USER(), '@', 1)"), password
        assert "1" == ask(service, "SELECT 1", "root"), password
    old = service.secrets["user_password"]
    service.secrets = {}
    service.do("configure", "reload")
    service.secrets = {"user_password": old, "root_password": f"r{old}"[:128]}
    assert refused(ask(service, "SELECT 1"))
    assert refused(ask(service, "SELECT 1", "root"))
    assert (before, "running") == (service.status().identity, service.state_now())
    assert "0" == service.do("reload").changed


def test_the_application_has_its_database_and_no_other(folder: Path) -> None:
    """An underscore in its name stands for itself, not for any letter."""
    service = server(folder, database="my_shop")
    service.do("install", "configure", "start")
    assert "" == ask(service, "CREATE TABLE my_shop.t (id INT)")
    assert "denied" in ask(service, "CREATE DATABASE myxshop")
    assert "denied" in ask(service, "SELECT * FROM mysql.global_priv")


@pytest.mark.parametrize("version", ARCHIVES)
def test_an_exporter_sees_the_server_and_no_data(folder: Path, version: str) -> None:
    """Made by a reload of the running server: how it is, whom it replicates to; not what it holds."""
    service = server(folder, version=version)
    service.do("install", "configure", "start")
    ask(service, "CREATE TABLE shop.carts (id INT)")
    service.parameters["monitor_user"] = "monitor"
    service.secrets = {**SECRETS, "monitor_password": SECRETS["user_password"]}
    service.do("configure", "reload")
    assert ask(service, "SHOW GLOBAL STATUS LIKE 'Uptime'", "monitor").startswith("Uptime\t")
    assert "" == ask(service, "SHOW REPLICA STATUS", "monitor")
    assert "" == ask(service, "SELECT * FROM performance_schema.threads LIMIT 0", "monitor")
    for asked in ("SELECT * FROM shop.carts", "SELECT * FROM mysql.user"):
        assert "denied" in ask(service, asked, "monitor")


def test_a_reload_keeps_the_process_and_takes_hold(folder: Path) -> None:
    """Parameters with effect reload reach the running server; one that needs a restart is refused by its name."""
    service = server(folder)
    service.do("install", "configure", "start")
    before = service.status().identity
    service.parameters |= {"buffer_pool_size": "64mb", "max_connections": "77", "slow_log": "true", "slow_after": "5s"}
    service.parameters["sql_mode"] = "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"
    service.do("configure", "reload")
    said = ask(service, "SELECT @@GLOBAL.innodb_buffer_pool_size, @@GLOBAL.max_connections, @@GLOBAL.long_query_time")
    assert (["67108864", "77", "5.000000"], before) == (said.split(), service.status().identity)
    assert "ANSI_QUOTES,NO_BACKSLASH_ESCAPES" == ask(service, "SELECT @@GLOBAL.sql_mode")
    service.parameters |= {"server_id": "7", "max_connections": "78"}
    service.do("configure")
    refusal = service.call("reload")
    assert (5, "needs a restart, not a reload: server_id") == (refusal.code, refusal.reason)
    service.do("restart")
    assert "7\t78" == ask(service, "SELECT @@server_id, @@GLOBAL.max_connections")


def test_a_half_made_data_folder_is_made_anew_and_one_with_data_is_not_touched(folder: Path) -> None:
    """Killed at any moment of its first start, it starts; later its data is what it was."""
    service = server(folder)
    service.do("install", "configure")
    chance = random.Random(int(os.environ.get("TOWLINE_TEST_SEED", "7")))
    for _ in range(4):
        service.begin("start").kill_after(chance.uniform(0.1, 1.5))
    partial = service.root / "data" / ".partial-db"
    if not (service.root / "data/db").exists():
        partial.mkdir(exist_ok=True)
        (partial / "ibdata1").write_text("half")
    service.do("start")
    assert not partial.exists()
    ask(service, "CREATE TABLE shop.kept (id INT); INSERT INTO shop.kept VALUES (7)")
    service.do("stop", "uninstall", "install", "configure", "start")
    assert "7" == ask(service, "SELECT id FROM shop.kept")


def test_data_of_another_program_is_refused_and_not_touched(folder: Path) -> None:
    """MySQL is not let near the data of MariaDB."""
    service = server(folder)
    service.do("install", "configure", "start", "stop")
    before = tree(service.root / "data/db")
    service.version, service.packages = "9.7.4", packages_of("9.7.4")
    service.do("install", "configure")
    said = service.call("start")
    assert (6, True) == (said.code, "its data is that of MariaDB 10.11.19, which MySQL cannot read" in said.reason)
    assert before == tree(service.root / "data/db")


def test_an_upgrade_of_the_system_tables_that_was_cut_off_is_completed(folder: Path) -> None:
    """Until then the service is degraded and says so; the next start does it, on the running process."""
    service = server(folder)
    service.do("install", "configure", "start")
    before = service.status().identity
    (service.root / "tables-version").write_text("10.5.29\n")
    assert ("degraded", "has the system tables of an older version: start it again") == _state_and_reason(service)
    assert "1" == service.do("start").changed
    assert (before, "running") == (service.status().identity, service.state_now())


@pytest.mark.parametrize("version", ARCHIVES)
def test_a_replica_follows_tells_its_trouble_and_is_promoted(folder: Path, version: str) -> None:
    """Role and replication are part of health; what stops it is told in the server's words; its primary misses it."""
    primary = server(folder, "first", version, server_id="1")
    replica = server(
        folder, "second", version, server_id="2", replica_of=f"127.0.0.1:{primary.parameters['port']}", max_lag="5s"
    )
    primary.parameters["peers"] = f"127.0.0.1:{replica.parameters['port']}"
    primary.do("install", "configure", "start")
    assert ("degraded", "0 of 1 replicas are connected") == _state_and_reason(primary)
    replica.do("install", "configure", "start")
    assert "" == ask(primary, "CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (42)")
    assert eventually(60, lambda: ask(replica, "SELECT id FROM shop.t") == "42")
    assert ["running", "running"] == [primary.state_now(), replica.state_now()]
    assert "read-only" in ask(replica, "INSERT INTO shop.t VALUES (43)")
    primary.do("stop")
    assert eventually(30, lambda: replica.state_now() == "degraded")
    assert f"does not replicate from 127.0.0.1:{primary.parameters['port']}, its IO thread" in replica.status().reason
    primary.do("start")
    assert eventually(60, lambda: replica.state_now() == "running")
    os.kill(replica.process(), signal.SIGKILL)
    assert eventually(60, lambda: replica.state_now() == "stopped")
    replica.do("start")
    assert "" == ask(primary, "INSERT INTO shop.t VALUES (44)")
    assert eventually(20, lambda: "44" in ask(replica, "SELECT id FROM shop.t"))
    primary.do("stop")
    before = replica.status().identity
    replica.parameters["replica_of"] = ""
    replica.do("configure", "reload")
    assert (before, "running", "") == (
        replica.status().identity,
        replica.state_now(),
        ask(replica, "INSERT INTO shop.t VALUES (45)"),
    )


def test_a_replica_that_lost_whom_it_follows_is_told_again(folder: Path) -> None:
    """MariaDB's files about its primary are empty, as a lost power leaves them: `start` has it follow on."""
    primary = server(folder, "first", server_id="1")
    replica = server(folder, "second", server_id="2", replica_of=f"127.0.0.1:{primary.parameters['port']}")
    for service in (primary, replica):
        service.do("install", "configure", "start")
    assert "" == ask(primary, "CREATE TABLE shop.t (id INT PRIMARY KEY); INSERT INTO shop.t VALUES (42)")
    assert eventually(60, lambda: ask(replica, "SELECT id FROM shop.t") == "42")
    replica.do("stop")
    for name in ("master.info", "relay-log.info"):
        (replica.root / "data/db" / name).write_bytes(b"")
    replica.do("start")
    assert "" == ask(primary, "INSERT INTO shop.t VALUES (43)")
    assert eventually(60, lambda: ask(replica, "SELECT id FROM shop.t") == "42\n43")
    assert "running" == replica.state_now()


def test_a_new_replication_password_takes_hold_on_both(folder: Path) -> None:
    """On the primary, then on the replica; by a reload each; what it could not follow meanwhile it has afterwards."""
    primary = server(folder, "first", server_id="1")
    replica = server(folder, "second", server_id="2", replica_of=f"127.0.0.1:{primary.parameters['port']}")
    for service in (primary, replica):
        service.secrets["replication_password"] = "another-'one\\"
        service.do("install", "configure", "start")
    assert "" == ask(primary, "CREATE TABLE shop.t (id INT)")
    assert eventually(20, lambda: ask(replica, "SELECT COUNT(*) FROM shop.t") == "0")
    for service in (primary, replica):
        service.secrets["replication_password"] = "a third one"
        service.do("configure")
    primary.do("reload", "restart")
    assert eventually(30, lambda: "denied" in replica.status().reason)
    replica.do("reload")
    assert "running" == replica.state_now()


@pytest.mark.parametrize("version", ARCHIVES)
def test_a_socket_that_was_left_behind_does_not_keep_it_from_starting(folder: Path, version: str) -> None:
    """After a kill another process may have the pid that the socket's lock names."""
    service = server(folder, version=version)
    service.do("install", "configure", "start")
    os.kill(int(service.status().identity[1]), signal.SIGKILL)
    assert eventually(60, lambda: service.state_now() == "stopped")
    lock = service.root / "run/mysql/mysql.sock.lock"
    lock.write_text(f"{os.getpid()}\n")
    service.do("start")
    assert "running" == service.state_now()


def test_a_stuck_server_is_degraded_in_time(folder: Path) -> None:
    """One that accepts and never answers: check_status ends with a reason."""
    service = server(folder)
    service.do("install", "configure", "start")
    pid = service.process()
    os.kill(pid, signal.SIGSTOP)
    said = service.status()
    os.kill(pid, signal.SIGCONT)
    assert (190, "answers no query within 5 s: ") == (said.code, said.reason.rstrip() + " ")
    assert eventually(60, lambda: service.state_now() == "running")


def _state_and_reason(service: Service) -> tuple[str, str]:
    said = service.status()
    return said.facts["state"], said.facts.get("reason", "")
