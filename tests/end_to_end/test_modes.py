"""Hosts that are left alone, and hosts that fell silent: never green, never repaired, and taken up again."""

import html
import json
import os
import re
import signal
from pathlib import Path

from tests.end_to_end import databases
from tests.end_to_end.demo.machine import Machine
from tests.end_to_end.demo.processes import identity
from tests.end_to_end.demo.wire import redis_ask
from tests.end_to_end.world import World, only
from tests.servers.process import free_ports

EDIT = "# a quick fix by hand\n"


def converged_host(world: World) -> tuple[Machine, int]:
    """A host with a Valkey that its agent keeps, and its port."""
    world.open()
    (port,) = free_ports(1)
    world.catalogue.write({"catalogue/services/cache.yaml": world.valkey_on("db-1", "cache", port)})
    machine = world.host("db-1")
    machine.start(world.processes)
    world.until_standing("db-1", "converged")
    world.backend.sign_in_to_page()
    return machine, port


def configuration(machine: Machine) -> Path:
    """The file that people edit."""
    return machine.prefix / "services" / "cache" / "etc" / "redis.conf"


def kill_valkey(machine: Machine) -> int:
    """Ends the server with -9; its pid."""
    pid = machine.pid("cache")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


def gone(pid: int) -> str | None:
    """None once that process lives no more."""
    return None if identity(pid) is None else f"{pid} still lives"


def test_a_silent_host_turns_stale_and_comes_back(world: World) -> None:
    """A host whose agent ended is Stale, on REST and on the page, once it was silent for longer than it may be."""
    machine, _ = converged_host(world)
    world.processes.stop(machine.agent)
    assert "converged" == world.backend.standings()["db-1"][0]

    ten_minutes_us = 10 * 60 * 1_000_000
    databases.change(
        databases.of_backend(world.backend), "UPDATE host_status SET seen_us = seen_us - ?", ten_minutes_us
    )

    assert "stale" == world.backend.standings()["db-1"][0]
    conditions = world.backend.ask("/v1/hosts/db-1")["conditions"]
    assert "True" == only(conditions, type="Stale")["status"]
    assert re.search(r"Silent for 10 min; it asks every 1 s", world.backend.page("/hosts/db-1"))
    machine.start(world.processes)
    world.until_standing("db-1", "converged")


def test_a_host_suspended_on_the_page_is_left_alone_until_it_is_resumed(world: World) -> None:
    """From the page's word on, a dead service is seen and not started, and the host is suspended, not converged."""
    machine, port = converged_host(world)
    form = csrf(world, "/hosts/db-1") | {"reason": "moving the rack", "hours": "2"}

    world.backend.page("/hosts/db-1/suspend", form=form)
    world.until("the host knows", lambda: mode(machine, "suspended"))
    dead = kill_valkey(machine)
    world.until("Valkey is dead", lambda: gone(dead))
    machine.run("once", accept=(1,))

    assert redis_ask(port, "PING") is None
    assert "Suspended since" in machine.run("status", accept=(1,))
    word, sentence = world.backend.standings()["db-1"]
    assert ("suspended", True) == (word, sentence.startswith("moving the rack, until "))
    assert "moving the rack" in world.backend.page("/hosts/db-1")
    world.backend.ask("/v1/hosts/db-1/resume", method="POST")
    world.until("it is repaired", lambda: None if redis_ask(port, "PING") == "PONG" else "nobody answers PING")
    world.until_standing("db-1", "converged")


def test_a_host_suspended_by_its_own_operator_is_left_alone_until_resumed_there(world: World) -> None:
    """`towline-puller suspend` holds until `resume`: an edited file stays edited, and the page gives the reason."""
    machine, _ = converged_host(world)
    file = configuration(machine)
    declared = file.read_text()

    machine.run("suspend", "--reason", "hunting a leak", "--for", "1h")
    file.write_text(EDIT + declared)
    machine.run("once", accept=(1,))

    assert EDIT + declared == file.read_text()
    assert "SuspendedLocally: hunting a leak" in machine.run("status", accept=(1,))
    assert "hunting a leak" in world.until_standing("db-1", "suspended")
    assert "hunting a leak" in world.backend.page("/hosts/db-1")
    machine.run("resume")
    machine.run("once")
    assert declared == file.read_text()
    world.until_standing("db-1", "converged")


def test_a_host_in_audit_tells_of_drift_and_repairs_nothing(world: World) -> None:
    """In mode audit an edited file and a dead service are told, on the host, by REST and on the page, and stay so."""
    machine, port = converged_host(world)
    world.declare_host("db-1", more="mode: audit\nmode_reason: the auditors are here\n")
    world.publish()
    world.until("the host knows", lambda: mode(machine, "audit"))
    file, steps = configuration(machine), databases.journal(machine)
    declared = file.read_text()

    edited = declared.replace("maxclients 10000", "maxclients 500") + 'masterauth "the canary"\n'
    file.write_text(edited)
    dead = kill_valkey(machine)
    world.until("Valkey is dead", lambda: gone(dead))
    machine.run("once", accept=(1,))

    assert "Drifted: mode audit changes nothing: cache: " in machine.run("status", accept=(1,))
    sentence = world.until_standing("db-1", "drifted")
    assert "mode audit changes nothing" in sentence
    changes = only(world.backend.ask("/v1/hosts/db-1")["status"]["services"], name="cache")["changes"]
    assert {"configuration", "process"} == {change["aspect"] for change in changes}
    assert "mode audit changes nothing" in world.backend.page("/hosts/db-1")
    shown = (changes[0]["reason"], machine.run("status", accept=(1,)), html.unescape(world.backend.page("/hosts/db-1")))
    for key in ("redis.conf: maxclients = 10000 -> 500", "redis.conf: masterauth = (not set) -> (secret)"):
        assert [True] * 3 == [key in text for text in shown], shown
    assert "the canary" not in json.dumps(world.backend.ask("/v1/hosts/db-1"))
    assert [] == [path for path in sorted((machine.prefix / "state").rglob("*")) if holds(path, b"the canary")]
    assert (edited, None, steps) == (file.read_text(), redis_ask(port, "PING"), databases.journal(machine))


def holds(path: Path, text: bytes) -> bool:
    """Whether it is a file with that in it."""
    return path.is_file() and text in path.read_bytes()


def mode(machine: Machine, wanted: str) -> str | None:
    """None once the host reported that mode."""
    found = databases.status(machine).get("mode")
    return None if found == wanted else f"its mode is {found}"


def csrf(world: World, path: str) -> dict[str, str]:
    """What a form of that page carries."""
    found = re.search(r'name="csrf" value="([^"]+)"', world.backend.page(path))
    assert found is not None
    return {"csrf": found[1]}
