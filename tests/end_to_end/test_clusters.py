"""A cluster of three real Valkeys: formed at once, changed one after another, stopped by the first that breaks."""

import json
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import msgspec
import pytest

from tests.end_to_end import databases
from tests.end_to_end.demo.wire import redis_ask
from tests.end_to_end.world import World, new_world
from tests.servers.process import free_ports

MEMBERS = ("db-1", "db-2", "db-3")
PRIMARY = "db-1"
NOWHERE = "203.0.113.7"
"""Set aside for documentation by RFC 5737: no machine can listen on it."""


class Sessions:
    """The service, on three hosts with an agent each."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.ports = dict(zip(MEMBERS, free_ports(3), strict=True))

    def declare(self, *, rolling: bool = True, **parameters: object) -> None:
        """The service with these parameters; imported and published."""
        used = self.world.valkey
        entry = {
            "service": "sessions",
            "kind": "redis",
            "version": used.version,
            "packages": {"server": f"{used.name}-{used.version}"},
            "parameters": {"maxmemory": "16mb", "start_timeout": "10s", **parameters},
            "cluster": {
                "members": {host: {"id": number} for number, host in enumerate(MEMBERS, 1)},
                "primary": PRIMARY,
                "rolling": rolling,
            },
            "overrides": {host: {"parameters": {"port": port}} for host, port in self.ports.items()},
        }
        self.world.declare(sessions=json.dumps(entry))

    def form(self) -> None:
        """Until all three are converged."""
        self.world.open()
        for host in MEMBERS:
            self.world.declare_host(host, more="address: 127.0.0.1\n")
        self.declare()
        for host in MEMBERS:
            self.world.host(host, more="address: 127.0.0.1\n").start(self.world.processes)
        self.converged()

    def as_formed(self) -> None:
        """As it was formed, whatever a test has done to it."""
        self.declare(rolling=False)
        self.declare()
        self.converged()

    def converged(self) -> None:
        """Waits until every host stands so."""
        for host in MEMBERS:
            self.world.until_standing(host, "converged")

    def parameters(self, host: str) -> dict[str, Any]:
        """What its document says."""
        found: dict[str, Any] = self.world.backend.ask(f"/v1/hosts/{host}")["document"]["services"][0]["parameters"]
        return found

    def held(self) -> dict[str, str]:
        """What each member waits for."""
        hosts = self.world.backend.ask("/v1/services/sessions")["hosts"]
        return {one["host"]: one["held"] for one in hosts if one["held"]}

    def revisions(self) -> dict[str, int]:
        """What is published for each member."""
        return {host: self.world.backend.revision(host) for host in MEMBERS}

    def asked(self, host: str, *words: str) -> str | None:
        """The last word of what its server answers."""
        answer = redis_ask(self.ports[host], *words)
        return answer.split()[-1] if answer else answer


@pytest.fixture(scope="module")
def formed() -> Iterator[Sessions]:
    """The cluster, formed once for all tests here: that takes longer than what they do with it."""
    with new_world() as world:
        sessions = Sessions(world)
        sessions.form()
        yield sessions


@pytest.fixture
def sessions(formed: Sessions) -> Sessions:
    """The cluster, well and as it was formed."""
    formed.as_formed()
    return formed


def documents_and_reports(world: World, after: dict[str, int]) -> list[tuple[str, str]]:
    """What came first, from the backend's database: each document after these revisions when it was published, and
    each host's first report that has it applied."""
    file = databases.of_backend(world.backend)
    moments: list[tuple[int, str, str]] = []
    published = databases.ask(file, "SELECT at_us FROM publication WHERE documents > 0 ORDER BY id")
    rows = databases.ask(file, "SELECT host, revision FROM document ORDER BY rowid")
    new = [(host, revision) for host, revision in rows if revision > after[host]]
    for (at_us,), (host, revision) in zip(published[-len(new) :], new, strict=True):
        moments.append((at_us, "published", host))
        question = "SELECT received_us, body FROM report WHERE host = ? ORDER BY received_us"
        for received_us, body in databases.ask(file, question, host):
            if msgspec.json.decode(zlib.decompress(body))["status"].get("applied_revision") == revision:
                moments.append((received_us, "applied", host))
                break
    return [(what, host) for _, what, host in sorted(moments)]


def only_waiting_on(sessions: Sessions, waiting: Sequence[str], reason: str) -> str | None:
    """None once exactly these wait, for something that reads so."""
    held = sessions.held()
    right = sorted(held) == sorted(waiting) and all(reason in said for said in held.values())
    return None if right else f"held: {held}"


def test_replicas_follow_the_primary_of_the_catalogue(sessions: Sessions) -> None:
    """Their documents have its address and port, and what is written there arrives."""
    leader = f"127.0.0.1:{sessions.ports[PRIMARY]}"
    assert [None, leader, leader] == [sessions.parameters(host).get("replica_of") for host in MEMBERS]
    assert "OK" == sessions.asked(PRIMARY, "SET", "a", "1")
    sessions.world.until("db-3 has it", lambda: None if sessions.asked("db-3", "GET", "a") == "1" else "not yet")


def test_a_change_reaches_one_member_after_another_and_the_primary_last(sessions: Sessions) -> None:
    """The next one gets its document when the last one has reported that it has applied its own; all get it."""
    world, before = sessions.world, sessions.revisions()

    sessions.declare(databases=8)
    sessions.converged()

    assert {host: revision + 1 for host, revision in before.items()} == sessions.revisions()
    assert [
        ("published", "db-2"),
        ("applied", "db-2"),
        ("published", "db-3"),
        ("applied", "db-3"),
        ("published", "db-1"),
        ("applied", "db-1"),
    ] == documents_and_reports(world, before)
    assert ["8", "8", "8"] == [_databases(sessions, host) for host in MEMBERS]
    assert {} == sessions.held()
    actions = [one["action"] for one in world.backend.ask("/v1/events")["items"]]
    assert {"cluster.held", "cluster.released"} <= set(actions)


def test_a_member_that_breaks_stops_the_roll(sessions: Sessions) -> None:
    """The others stay as they are and go on serving; which one is waited for, and why, is told. What mends it does not
    wait."""
    world, before = sessions.world, sessions.revisions()

    sessions.declare(bind=NOWHERE)
    reason = f"waits for db-2: it has not reached revision {before['db-2'] + 1}"
    world.until("the roll stops", partial(only_waiting_on, sessions, ["db-1", "db-3"], reason))

    assert before | {"db-2": before["db-2"] + 1} == sessions.revisions()
    assert ["PONG", "PONG"] == [sessions.asked(host, "PING") for host in ("db-1", "db-3")]
    world.until("the command line says so", partial(_not_told, world, f"db-1: sessions {reason}"))
    assert world.until_standing("db-1", "converging").startswith(f"sessions {reason}")
    world.backend.sign_in_to_page()
    assert reason in world.backend.page("/hosts/db-1")
    assert reason in world.backend.page("/services/sessions")

    sessions.declare()
    sessions.converged()
    assert ({}, before | {"db-2": before["db-2"] + 2}) == (sessions.held(), sessions.revisions())
    assert "PONG" == sessions.asked("db-2", "PING")


def test_without_rolling_all_members_change_at_once(sessions: Sessions) -> None:
    """The way out, also while a roll is stopped: every member has its document with the same publication."""
    world, before = sessions.world, sessions.revisions()
    world.processes.stop(world.machines["db-2"].agent)

    sessions.declare(databases=8)
    reason = f"waits for db-2: it has not reported revision {before['db-2'] + 1} yet"
    world.until("db-2 is waited for", partial(only_waiting_on, sessions, ["db-1", "db-3"], reason))
    sessions.declare(databases=8, rolling=False)

    assert {host: revision + 1 for host, revision in before.items()} == sessions.revisions()
    for host in ("db-1", "db-3"):
        world.until_standing(host, "converged")
    world.machines["db-2"].start(world.processes)
    assert ["8", "8"] == [_databases(sessions, host) for host in ("db-1", "db-3")]


def _not_told(world: World, line: str) -> str | None:
    told = world.backend.run("publish", "--once", accept=(0, 1, 75))
    return None if line in told else told


def _databases(sessions: Sessions, host: str) -> str:
    file = sessions.world.machines[host].prefix / "services" / "sessions" / "etc" / "redis.conf"
    return next(line.split()[1] for line in file.read_text().splitlines() if line.startswith("databases "))
