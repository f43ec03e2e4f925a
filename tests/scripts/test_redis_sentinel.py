"""redis_sentinelctl.sh and redisctl.sh together: a replica takes the place of the primary, and towline lets it."""

import os
import signal
from pathlib import Path

from tests.middleware import valkey_archive
from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.redis import ask
from tests.scripts.kinds.redis_sentinel import CASE, three_of_each
from tests.servers.process import free_port

WAIT_S = 120
PASSWORD = 'a "word" \\ of $(theirs)'


def made(kind: str, folder: Path, name: str, port: int, **parameters: str) -> Service:
    return Service(
        kind=kind,
        name=name,
        folder=folder,
        version="9.1.2",
        packages={"server": valkey_archive("9.1.2")},
        parameters={"port": str(port), **parameters},
        secrets={"password": PASSWORD},
    )


def all_run(services: list[Service]) -> bool:
    return all(service.state_now() == "running" for service in services)


def role(server: Service) -> str:
    return ask(server, ("AUTH", server.secrets["password"]), ("ROLE",))[1].partition(" ")[0]


def test_a_lost_primary_is_replaced_and_comes_back_as_a_replica(folder: Path) -> None:
    """No verb of towline's takes part in it or takes it back, and nobody is told to have drifted."""
    servers, sentinels = three_of_each(CASE.real.software[-1], folder)
    for service in (*servers, *sentinels):
        service.do("install", "configure", "start")
    assert eventually(WAIT_S, lambda: all_run([*servers, *sentinels])), [s.status().reason for s in sentinels]
    digests = [one.status().facts["config"] for one in (*servers, *sentinels)]
    os.kill(servers[0].process(), signal.SIGKILL)
    left = servers[1:]
    assert eventually(WAIT_S, lambda: sorted(map(role, left)) == ["master", "slave"])
    promoted = next(server for server in left if role(server) == "master")
    assert eventually(WAIT_S, lambda: promoted.status().reason == "1 of 2 replicas are connected")
    assert "0" == promoted.do("configure").changed
    servers[0].do("start")
    assert eventually(WAIT_S, lambda: all_run([*servers, *sentinels])), [s.status().reason for s in servers]
    assert (["slave", "master"], digests) == (
        [role(servers[0]), role(promoted)],
        [one.status().facts["config"] for one in (*servers, *sentinels)],
    )
    for service in (promoted, sentinels[0]):
        service.do("restart")
    assert eventually(WAIT_S, lambda: all_run([*servers, *sentinels]))
    assert (
        f"127.0.0.1 {_primary_of(sentinels[0])}"
        == ask(sentinels[0], ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "primary"))[0]
    )


def _primary_of(sentinel: Service) -> str:
    """The port of the primary that another start would begin with: the one that it remembers."""
    lines = (sentinel.root / "data/sentinel.conf").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("sentinel monitor primary ")]
    return line.split()[4]


def test_a_sentinel_without_the_others_is_degraded(folder: Path) -> None:
    """It answers, and could not do what it is there for; with fewer than declared it says how many."""
    server = made("redis", folder, "data", free_port(), failover="sentinel")
    primary = f"127.0.0.1:{server.parameters['port']}"
    sentinel = made("redis_sentinel", folder, "watch", free_port(), primary=primary, peers="127.0.0.1:1")
    for service in (server, sentinel):
        service.do("install", "configure", "start")
    assert sentinel.status().reason.startswith("NOQUORUM 1 usable Sentinels."), sentinel.status().reason
    sentinel.parameters["quorum"] = "1"
    sentinel.do("configure", "restart")
    assert "1 of 2 Sentinels can be used" == sentinel.status().reason
    sentinel.parameters["peers"] = ""
    sentinel.do("configure")
    assert "running" == sentinel.state_now()
