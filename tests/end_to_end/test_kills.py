"""kill -9 of the agent in the middle of a convergence of real software."""

import random
from collections import Counter
from functools import partial

from tests.end_to_end import databases
from tests.end_to_end.demo.machine import Machine
from tests.end_to_end.demo.wire import redis_ask
from tests.end_to_end.world import World
from tests.servers.process import free_ports

SERVICES = ("a", "b", "c", "d")
VERBS = ("configure", "install", "start")
KILLS = 5
SEED = 20261123


def test_an_agent_killed_five_times_converges_without_a_double_step_or_report(world: World) -> None:
    """At five moments drawn by a seed the agent is killed and started anew: each step ran, each report came, once."""
    world.open()
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    for name, port in ports.items():
        world.catalogue.write({f"catalogue/services/{name}.yaml": world.valkey_on("db-1", name, port)})
    machine = world.host("db-1", more="limits: {removals: 1, parallel: 2}\n")
    draw = random.Random(SEED)
    moments = sorted(draw.sample(range(1, len(SERVICES) * len(VERBS)), KILLS))

    for moment in moments:
        machine.start(world.processes)
        world.until(f"{moment} steps were started", partial(started, machine, moment))
        world.processes.kill(machine.agent)
    machine.start(world.processes)

    world.until_standing("db-1", "converged")
    assert dict.fromkeys(SERVICES, "PONG") == {name: redis_ask(port, "PING") for name, port in ports.items()}
    wanted = Counter((name, verb, "done") for name in SERVICES for verb in VERBS)
    assert wanted == Counter(databases.journal(machine)) - Counter(never_begun(machine))
    assert dict.fromkeys(SERVICES, 1) == {name: starts(machine, name) for name in SERVICES}
    world.until("every report arrived", lambda: None if not databases.waiting(machine) else "some wait")
    assert list(range(1, databases.produced(machine) + 1)) == databases.arrived(world.backend, "db-1")
    lines = world.backend.ask("/v1/hosts/db-1/runs")["items"]
    reported = Counter((s["service"], s["verb"], s["outcome"]) for line in lines for s in line["run"]["steps"])
    assert wanted == reported - Counter(never_begun(machine))


def never_begun(machine: Machine) -> list[databases.Row]:
    """Steps that stood in the journal when the agent was killed, and had no script yet: marked, and begun once more."""
    return [step for step in databases.journal(machine) if step[2] == "unknown"]


def started(machine: Machine, wanted: int) -> str | None:
    """None once the journal holds so many steps."""
    found = len(databases.journal(machine))
    return None if found >= wanted else f"{found} were"


def starts(machine: Machine, service: str) -> int:
    """How often the server itself says that it came up."""
    logs = (machine.prefix / "services" / service / "log").glob("*")
    return sum(log.read_text("utf-8", "replace").count("Ready to accept connections") for log in logs if log.is_file())
