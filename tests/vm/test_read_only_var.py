"""A VM whose /var alone is read-only: the agent keeps nothing there, so it is installed, upgraded and taken away."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers.agent_archive import agent_archive, variant
from tests.vm import shop
from tests.vm.host import PREFIX, Host
from tests.vm.waiting import until

NEWER = "0.1.8"
LOCKED = "mount --bind /var /var && mount -o remount,bind,ro /var"


@pytest.fixture(scope="module")
def host(new_host: Callable[..., Host]) -> Host:
    """A fresh VM; for everything that is started in it from now on, /var is read-only."""
    made = new_host("locked", "bookworm")
    made.machine.sh(LOCKED)
    made.declare(cache=shop.cache("locked"))
    return made


@pytest.fixture(autouse=True)
def locked(host: Host) -> None:
    """/var is read-only, for commands and for units alike."""
    host.machine.run("touch", "/var/tmp/x", accept=(1,))
    assert 0 != host.machine.run("systemd-run", "--quiet", "--wait", "touch", "/var/tmp/x", accept=None).status


def test_install(host: Host) -> None:
    """The pasted command ends well, the host converges, and `doctor` finds no fault."""
    host.paste()
    host.until_converged()
    assert ["cache"] == sorted(host.services())
    assert 0 == host.puller("doctor", accept=None).status


def test_upgrade(host: Host, tmp_path: Path) -> None:
    """A newer agent comes by the document and proves itself; the service never notices."""
    host.until_converged()
    host.heal_often()
    before = host.services()
    newer = shop.agent_package(variant(agent_archive(), tmp_path, version=NEWER))
    host.site.add_package(newer)
    host.declare(agent=shop.agent(newer, "locked", trial_timeout_s=300))
    until("it has proved itself", lambda: _proved(host), seen=host.alive)
    host.until_converged()
    assert (NEWER, before) == (host.alive().get("version"), host.services())


def _proved(host: Host) -> bool:
    good = host.machine.run("readlink", f"{PREFIX}/agent/good").out.strip()
    return good.startswith(f"releases/{NEWER}-") and not host.machine.exists(f"{PREFIX}/agent/trial")


def test_uninstall_everything(host: Host) -> None:
    """Services, data and agent go; nothing of towline is left."""
    host.until_converged()
    host.typed("locked\n", "uninstallall", "--purge-data")
    left = "ls -A /opt/towline; getent passwd | grep towline; systemctl list-unit-files | grep towline"
    assert "" == host.machine.sh(left, accept=None).out
