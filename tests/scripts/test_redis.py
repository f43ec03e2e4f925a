"""redisctl.sh against real Valkey and Redis."""

import os
import signal
from pathlib import Path

import msgspec
import pytest

from tests.middleware import redis_archive, valkey_archive
from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.case import case_of
from tests.scripts.kinds.redis import ask
from tests.servers.process import free_port

CASE = case_of("redis")


def redis(folder: Path, name: str = "cache", password: str = "", **parameters: str) -> Service:
    return Service(
        kind="redis",
        name=name,
        folder=folder,
        version="9.1.2",
        packages={"server": valkey_archive("9.1.2")},
        parameters={"port": str(free_port()), "maxmemory": "32mb", **parameters},
        secrets={"password": password} if password else {},
    )


def test_a_reload_keeps_the_process_and_takes_hold(folder: Path) -> None:
    """Parameters with effect reload reach the running process; it stays the same process."""
    service = redis(folder)
    service.do("install", "configure", "start")
    before = service.status().identity
    service.parameters |= {"maxmemory": "64mb", "maxmemory_policy": "allkeys-lru", "appendonly": "true", "save": ""}
    service.do("configure")
    assert ("degraded", "runs with an earlier configuration") == _state_and_reason(service)
    assert "1" == service.do("reload").changed
    assert (before, "running") == (service.status().identity, service.state_now())
    settings = ("maxmemory", "maxmemory-policy", "appendonly", "save")
    said = ask(service, *(("CONFIG", "GET", name) for name in settings))
    assert ["maxmemory 67108864", "maxmemory-policy allkeys-lru", "appendonly yes", "save "] == said
    assert "0" == service.do("reload").changed


def test_a_reload_refuses_what_needs_a_restart(folder: Path) -> None:
    """It says which parameter; the running process is not touched; a restart does it."""
    service = redis(folder)
    service.do("install", "configure", "start")
    before = service.status().identity
    service.parameters["databases"] = "4"
    service.do("configure")
    said = service.call("reload")
    assert (5, "needs a restart, not a reload: databases") == (said.code, said.reason)
    assert before == service.status().identity
    service.do("restart")
    assert ["databases 4"] == ask(service, ("CONFIG", "GET", "databases"))


@pytest.mark.parametrize(
    "password", ["plain", 'a"b\\c', "$(id) `id` ${x}", "ünï ☃", "'single' # not a comment", "x" * 500]
)
def test_a_password_arrives_byte_for_byte(folder: Path, password: str) -> None:
    """Another client gets in with it, and not without."""
    service = redis(folder, password=password)
    service.do("install", "configure", "start")
    assert ["+OK", "+PONG"] == ask(service, ("AUTH", password), ("PING",))
    assert ["-NOAUTH Authentication required."] == ask(service, ("PING",))
    assert "running" == service.state_now()


def test_a_new_password_needs_a_restart(folder: Path) -> None:
    """Until then the service is degraded: it does not take the password of its configuration."""
    service = redis(folder, password="one")
    service.do("install", "configure", "start")
    service.secrets = {"password": "two"}
    service.do("configure")
    assert "degraded" == service.state_now()
    service.do("restart")
    assert ["+OK"] == ask(service, ("AUTH", "two"))


def test_an_upgrade_keeps_the_data(folder: Path) -> None:
    """9.0.0 to 9.1.2: stop, install, configure, start; a new process of the new version has the old keys."""
    service = redis(folder)
    service.version, service.packages = "9.0.0", {"server": valkey_archive("9.0.0")}
    service.do("install", "configure", "start")
    assert ["+OK"] == ask(service, ("SET", "key", "value"))
    assert "9.0.0" == service.status().facts["version"]
    old = service.packages
    service.version, service.packages = "9.1.2", {"server": valkey_archive("9.1.2")}
    service.do("stop", "install", "configure", "start")
    assert ["value"] == ask(service, ("GET", "key"))
    assert "valkey_version:9.1.2" in ask(service, ("INFO", "server"))[0]
    assert "9.1.2" == service.status().facts["version"]
    service.version, service.packages = "9.0.0", old
    service.do("stop", "install", "configure", "start")
    assert "9.0.0" == service.status().facts["version"]


def test_an_installed_upgrade_is_not_told_before_it_runs(folder: Path) -> None:
    """While the old process runs on, its version is the truth."""
    service = redis(folder)
    service.version, service.packages = "9.0.0", {"server": valkey_archive("9.0.0")}
    service.do("install", "configure", "start")
    service.version, service.packages = "9.1.2", {"server": valkey_archive("9.1.2")}
    service.do("install")
    assert "9.0.0" == service.status().facts["version"]
    old = service.prefix / "packages" / "valkey-9.0.0"
    assert old.is_dir()
    service.do("restart")
    assert "9.1.2" == service.status().facts["version"]
    assert not old.exists()


def test_a_package_of_another_version_is_refused(folder: Path) -> None:
    """What the program says of itself counts, not the name of its file."""
    service = redis(folder)
    service.version = "9.1.1"
    said = service.call("install")
    assert (6, "the package holds version 9.1.2, the document says 9.1.1") == (said.code, said.reason)
    assert "absent" == service.state_now()
    good = redis(folder)
    good.do("install", "configure", "start")
    assert 6 == service.call("install").code
    assert ("running", "9.1.2") == (good.state_now(), good.status().facts["version"])
    good.do("restart")


def test_real_redis_with_a_short_version(folder: Path) -> None:
    """6.2 in the document fits 6.2.14."""
    service = redis(folder)
    service.version, service.packages = "6.2", {"server": redis_archive("6.2.14")}
    service.do("install", "configure", "start")
    assert "6.2" == service.status().facts["version"]
    assert "redis_version:6.2.14" in ask(service, ("INFO", "server"))[0]


def test_a_replica_follows_and_is_promoted(folder: Path) -> None:
    """The role is part of health: a replica without its primary is degraded; without replica_of it is one itself."""
    primary = redis(folder, "first", password="p")
    replica = redis(folder, "second", password="p", replica_of=f"127.0.0.1:{primary.parameters['port']}")
    for service in (primary, replica):
        service.do("install", "configure", "start")
    assert ["+OK", "+OK"] == ask(primary, ("AUTH", "p"), ("SET", "key", "value"))
    assert eventually(60, lambda: ask(replica, ("AUTH", "p"), ("GET", "key"))[1] == "value")
    assert ["running", "running"] == [primary.state_now(), replica.state_now()]
    before = replica.status().identity
    primary.do("stop")
    assert eventually(60, lambda: replica.state_now() == "degraded")
    assert f"has no link to its primary 127.0.0.1:{primary.parameters['port']}" == replica.status().reason
    replica.parameters["replica_of"] = ""
    replica.do("configure", "reload")
    assert (before, "running") == (replica.status().identity, replica.state_now())


def test_a_primary_misses_its_replicas(folder: Path) -> None:
    """How many are up to date, of how many there should be; a start does not wait for them."""
    primary = redis(folder, "first", password="p")
    replicas = [redis(folder, name, password="p", replica_of=address_of(primary)) for name in ("second", "third")]
    primary.parameters["peers"] = ",".join(map(address_of, replicas))
    primary.do("install", "configure", "start")
    assert ("degraded", "0 of 2 replicas are connected") == _state_and_reason(primary)
    replicas[0].parameters["peers"] = ",".join(map(address_of, (primary, replicas[1])))
    for service in replicas:
        service.do("install", "configure", "start")
    assert eventually(60, lambda: [one.state_now() for one in (primary, *replicas)] == ["running"] * 3)
    replicas[1].do("stop")
    assert eventually(60, lambda: _state_and_reason(primary) == ("degraded", "1 of 2 replicas are connected"))
    primary.parameters["peers"] = address_of(replicas[0])
    primary.do("configure")
    assert "running" == primary.state_now()
    assert "0" == primary.do("reload").changed


def test_another_ones_port_is_no_health(folder: Path) -> None:
    """A foreign server that answers PING on the port does not make ours healthy."""
    other = redis(folder, "other")
    other.do("install", "configure", "start")
    service = redis(folder, port=other.parameters["port"])
    service.do("install", "configure")
    said = service.call("start")
    assert (1, True) == (said.code, "Address already in use" in said.reason)
    assert "stopped" == service.state_now()
    assert "running" == other.state_now()


def test_a_stuck_server_is_degraded_in_time(folder: Path) -> None:
    """One that accepts and never answers: check_status ends with a reason."""
    service = redis(folder)
    service.do("install", "configure", "start")
    ask(service, ("SET", "key", "value"))
    pid = service.process()
    os.kill(pid, signal.SIGSTOP)
    said = service.status()
    os.kill(pid, signal.SIGCONT)
    assert (190, "no answer to PING within 5 s") == (
        said.code,
        said.reason.removeprefix("answers ").removesuffix(" to PING"),
    )
    assert eventually(60, lambda: service.state_now() == "running")


def test_a_changed_package_needs_another_version(folder: Path) -> None:
    """What is in place is never changed: another file under the same name and version is refused."""
    service = redis(folder)
    service.do("install")
    service.packages["server"] = msgspec.structs.replace(service.packages["server"], digest="sha256:" + "0" * 64)
    said = service.call("install")
    assert (6, True) == (said.code, "a changed package needs another version" in said.reason)


def address_of(service: Service) -> str:
    return f"127.0.0.1:{service.parameters['port']}"


def _state_and_reason(service: Service) -> tuple[str, str]:
    said = service.status()
    return said.facts["state"], said.facts.get("reason", "")
