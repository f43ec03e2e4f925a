"""The lab of a test session, a backend for each module, and hosts; each of pytest's workers has its own of all."""

import os
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tests.servers.agent_archive import agent_archive as built_archive
from tests.vm import shop
from tests.vm.host import Host
from tests.vm.lab import Lab, at_once, new_lab
from tests.vm.rootfs import SUITES
from tests.vm.site import Site

MEASURED = "measured"
LONGEST_FIRST = (
    *("test_kills", "test_installing", "test_partitions", "test_kinds", "test_new_agents", "test_attacks"),
    *("test_fresh_vms", "test_disks", "test_networks", "test_harness"),
)
"""The files that take longest, so that no worker is left with one of them at the end; the others come after."""


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Network and machines, until the session ends."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    with new_lab(number=int(worker.removeprefix("gw"))) as made:
        yield made


@pytest.fixture(scope="module")
def site(lab: Lab) -> Iterator[Site]:
    """A backend that knows the services' packages and the agent's archive."""
    made = Site(lab, lab.folder / "site")
    try:
        for package in (*shop.software(), shop.agent_package(built_archive())):
            made.add_package(package)
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def new_host(lab: Lab, site: Site) -> Iterator[Callable[..., Host]]:
    """Makes hosts: booted, declared, and trusting the site's authority. They go when the module's tests are over."""
    made: list[Host] = []

    def new(name: str, suite: str = "bookworm", **how: object) -> Host:
        host = Host(lab, site, lab.machine(name, suite, **how))  # type: ignore[arg-type]  # passed on as they are
        made.append(host)
        host.machine.boot()
        site.trusted_by(host.machine)
        host.declare()
        return host

    yield new
    lab.remove(*(host.machine for host in made))


@pytest.fixture(scope="module")
def hosts(new_host: Callable[..., Host]) -> dict[str, Host]:
    """A host of each suite, booted at once."""
    made = at_once([partial(new_host, f"host-{suite}", suite) for suite in SUITES])
    return dict(zip(SUITES, made, strict=True))


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Notes a line for the end of the session's output: what was measured or printed, and is asserted nowhere."""
    return partial(record_property, MEASURED)


def pytest_configure(config: pytest.Config) -> None:
    """What tests here are marked with."""
    config.addinivalue_line("markers", "core: paste, converge, reboot, power loss, kill, upgrade, uninstall on one VM")
    config.addinivalue_line("markers", "slow: really waits, minutes; left out unless -m says otherwise")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the slow ones out unless somebody chose by a mark. Tests of one file keep their order."""
    items.sort(key=lambda item: _place(item.path.stem))
    if not config.getoption("markexpr"):
        slow = [item for item in items if item.get_closest_marker("slow")]
        items[:] = [item for item in items if item not in slow]
        config.hook.pytest_deselected(items=slow)


def _place(file: str) -> int:
    return LONGEST_FIRST.index(file) if file in LONGEST_FIRST else len(LONGEST_FIRST)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows what was measured."""
    reports = [one for found in terminalreporter.stats.values() for one in found if isinstance(one, pytest.TestReport)]
    lines = [
        str(value) for one in reports for name, value in one.user_properties if name == MEASURED and one.when == "call"
    ]
    if lines:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.line(line)
