"""New agents that are no good: each is undone by itself, reported, and not tried again; the services never notice."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.middleware import Package
from tests.servers.agent_archive import agent_archive, variant
from tests.vm import shop
from tests.vm.host import Host
from tests.vm.lab import at_once
from tests.vm.site import Site
from tests.vm.waiting import until

CHECKOUT = Path(__file__).resolve().parents[2]
TRIAL_S = 30
"""Near the least that may be declared, with some room for a busy machine."""

CRASHES = 'raise RuntimeError("this release is broken")'
HANGS = "import time; time.sleep(100000)"
CANNOT_REACH = 'import os; os.environ["https_proxy"] = "http://127.0.0.1:9"'
BREAKS_THE_SCHEMA = """
there = "ALTER TABLE record RENAME TO record_of_the_next; CREATE TABLE odd (x TEXT);"
and_back = "DROP TABLE odd; ALTER TABLE record_of_the_next RENAME TO record;"
MIGRATIONS = (*MIGRATIONS, Migration(forward=there, back=and_back))
migrate.__defaults__ = (MIGRATIONS,)
"""

BROKEN = {
    "crashes": ("0.2.1", "puller/agent.py", CRASHES, "did not keep running"),
    "hangs": ("0.2.2", "puller/agent.py", HANGS, ""),
    "mute": ("0.2.3", "puller/agent.py", CANNOT_REACH, "no report of it was taken"),
    "schema": ("0.2.4", "puller/store/schema.py", BREAKS_THE_SCHEMA, ""),
}
"""By the host that gets it: version, the source that is changed, what is added to it, words of the reason."""


@pytest.fixture(scope="module")
def undone(new_host: Callable[..., Host], site: Site, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Host]:
    """Four converged hosts, each upgraded to another broken agent, and back by themselves."""
    names = tuple(BROKEN)
    hosts = dict(zip(names, at_once([partial(new_host, name) for name in names]), strict=True))
    site.declare(None, cache=shop.cache(*names))
    at_once([partial(_brought, host) for host in hosts.values()])
    for name, (version, source, added, _) in BROKEN.items():
        text = (CHECKOUT / source).read_bytes() + f"\n{added}\n".encode()
        folder = tmp_path_factory.mktemp(name)
        archive = variant(agent_archive(), folder, version=version, patch={f"site/{source}": text})
        package = shop.agent_package(archive)
        site.add_package(package)
        site.declare(None, **{f"agent-{name}": _entry(package, name)})
    at_once([partial(_until_undone, host) for host in hosts.values()])
    return hosts


def _entry(package: Package, name: str) -> str:
    return shop.agent(package, name, trial_timeout_s=TRIAL_S).replace("service: agent\n", f"service: agent-{name}\n")


def _brought(host: Host) -> None:
    host.paste()
    host.until_converged()
    host.heal_often()
    host.machine.write("/srv/before", "\n".join(f"{name}={pid}" for name, pid in host.services().items()))
    host.machine.write("/srv/release", host.release())


def _until_undone(host: Host) -> None:
    version = BROKEN[host.name][0]
    refused = f"ls {host.prefix}/agent/refused"
    until(
        f"{host.name}: {version} is refused",
        lambda: version in host.machine.sh(refused, accept=None).out,
        seen=lambda: (host.alive(), host.machine.sh(f"cat {host.prefix}/agent/trial", accept=None).out),
    )
    until(f"{host.name} is back", lambda: host.serves() and not _is_new(host), seen=host.alive)


def _is_new(host: Host) -> bool:
    return host.alive().get("version") == BROKEN[host.name][0]


@pytest.fixture(params=sorted(BROKEN))
def host(undone: dict[str, Host], request: pytest.FixtureRequest) -> Host:
    """Each of the hosts in turn."""
    return undone[request.param]


def test_the_old_agent_is_back_by_itself(host: Host) -> None:
    """The release of before runs and serves, and nothing is on trial."""
    assert host.machine.read("/srv/release") == host.release()
    assert host.serves()
    assert not host.machine.exists(f"{host.prefix}/agent/trial")


def test_the_services_never_noticed(host: Host) -> None:
    """Every service has the process that it had before."""
    now = "\n".join(f"{name}={pid}" for name, pid in host.services().items())
    assert host.machine.read("/srv/before") == now


def test_it_is_reported_with_its_reason(host: Host, measured: Callable[[str], None]) -> None:
    """The backend shows the host as failed, and its sentence says what was wrong with which release."""
    version, _, _, words = BROKEN[host.name]
    sentence = host.site.until_standing(host.name, "failed", says=words)
    measured(f"{host.name}: {sentence}")
    assert f"agent-{host.name}" in sentence
    assert version in host.machine.sh(f"ls {host.prefix}/agent/refused").out


def test_the_bad_release_is_not_tried_again(host: Host) -> None:
    """Asked to try again now, the host refuses the release without running it."""
    host.site.until_standing(host.name, "failed")
    before = host.alive().get("pid")
    host.puller("once", accept=None)
    assert (before, host.machine.read("/srv/release")) == (host.alive().get("pid"), host.release())
    assert not host.machine.exists(f"{host.prefix}/agent/trial")


def test_the_record_is_whole(host: Host) -> None:
    """`doctor` finds the database whole, in this agent's schema, and nothing that waits to be reported."""
    told = host.puller("doctor", accept=None).out
    assert "database      whole, schema 1" in told, told


def test_a_good_release_after_it_is_taken(host: Host) -> None:
    """When the document names the agent of before again, the host converges."""
    old = shop.agent_package(agent_archive())
    host.site.declare(None, **{f"agent-{host.name}": _entry(old, host.name)})
    host.until_converged()
    assert host.machine.read("/srv/release") == host.release()
