"""A kind of one's own that tells somebody else's monitoring on the host: from the catalogue to the host and back."""

from pathlib import Path

import pytest

from api.publish.bundle import Bundle, make_bundle, merge_scripts, read_scripts, shipped_folder
from desired_state.catalogue import Catalogue, HostEntry, PackageEntry, Placement, ServiceEntry
from desired_state.document import Package, Service, Value
from desired_state.problems import problems
from puller.paths import Paths
from tests.fakes.puller import LocalArtifacts
from tests.fakes.real_host import RealHost, real_host
from tests.puller.kind_files import KIND, WIRES, given
from tests.scripts.calling import end_processes
from tests.servers.process import free_port


class World:
    """A host whose documents pin a bundle with that kind, and what it does."""

    def __init__(self, folder: Path) -> None:
        made = given(folder, added=WIRES)
        own = {f"{KIND}ctl.sh": made.file.read_bytes()}
        self.bundle: Bundle = make_bundle(merge_scripts(read_scripts(shipped_folder()), own))
        self.host: RealHost = real_host(folder / "host")
        artifacts = LocalArtifacts(Paths(self.host.prefix).artifacts)
        artifacts.put(self.bundle.data)
        self.host.bundle = self.bundle.artifact
        archive = artifacts.put(made.packages["server"].read_bytes())
        self.package = Package(
            digest=archive.digest, size=archive.size, file="hello-1.0.0.tar.gz", name="hello", version="1.0.0"
        )
        self.port = free_port()
        self.check = self.host.prefix / "checks.d/web.conf"

    def problems(self, **monitoring: Value) -> list[tuple[str, str]]:
        """What the import says of a catalogue with that service."""
        entry = ServiceEntry(
            service="web",
            kind=KIND,
            version="1.0.0",
            packages={"server": "hello-1.0.0"},
            monitoring=monitoring,
            placement=Placement(hosts=("web-1",)),
        )
        package = PackageEntry(
            package="hello",
            version="1.0.0",
            file="hello-1.0.0.tar.gz",
            sha256=self.package.digest.removeprefix("sha256:"),
            size=self.package.size,
        )
        catalogue = Catalogue(services=(entry,), packages=(package,), hosts=(HostEntry(host="web-1"),))
        return [(problem.pointer, problem.message) for problem in problems(catalogue, self.bundle.kinds)]

    def declare(self, state: str = "running", **monitoring: Value) -> list[str]:
        """Publishes it; the verbs of the plan."""
        service = Service(
            name="web",
            kind=KIND,
            version="1.0.0",
            state=state,  # type: ignore[arg-type]
            parameters={"port": self.port},
            packages={"server": self.package},
            monitoring=monitoring,
        )
        self.host.publish(service)
        return self.plan()

    def plan(self) -> list[str]:
        """The verbs of the plan that a person is shown."""
        return [line.split()[1] for line in self.told("plan").splitlines()[1:]]

    def told(self, *arguments: str) -> str:
        """What a command of the agent says."""
        out, err = self.host.command(*arguments).communicate(timeout=120)
        assert err == "" or "error" not in err.lower(), err
        return out

    def pid(self) -> str:
        """Which process runs."""
        lines = (self.host.prefix / "services/web/run/identity").read_text().splitlines()
        return next(line for line in lines if line.startswith("pid="))


@pytest.fixture
def world(tmp_path: Path):
    """Whatever runs below it is ended."""
    try:
        yield World(tmp_path)
    finally:
        end_processes(tmp_path)


def test_it_is_wired_changed_and_taken_out(world: World) -> None:
    """Planned and shown, told to the script, kept on record; another value is one step; all by the same process."""
    assert ["install", "configure", "start", "monitor_trace"] == world.declare(job="web", interval="30s")
    assert "ready" in world.told("once")
    assert f"job = web\ninterval = 30s\nport = {world.port}\n" == world.check.read_text()
    process = world.pid()
    assert [] == world.plan()
    assert ["monitor_trace"] == world.declare(job="shop")
    world.told("once")
    assert f"job = shop\ninterval = 1m\nport = {world.port}\n" == world.check.read_text()
    assert ["monitor_trace"] == world.declare()
    world.told("once")
    assert ([], False, process) == (world.plan(), world.check.exists(), world.pid())


def test_it_goes_with_its_service(world: World) -> None:
    """Uninstalled, nothing of it is left in somebody else's folder."""
    world.declare(job="web")
    world.told("once")
    assert world.check.exists()
    assert ["stop", "uninstall"] == world.declare("absent")
    world.told("once")
    assert not world.check.exists()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, []),
        ({"job": "web"}, []),
        ({"interval": "1m"}, [("job", "value 'job' is required by hello, and missing")]),
        ({"job": "web", "intervall": "1m"}, [("intervall", "unknown value 'intervall'; did you mean 'interval'?")]),
        ({"job": "web", "interval": "1s"}, [("interval", "'interval' must be at least 5 seconds; it is 1")]),
        ({"job": 7}, [("job", "'job' must be text; put it in quotes: '7'")]),
    ],
)
def test_what_may_be_said_stands_in_meta(world: World, said: dict[str, Value], expected: list[tuple[str, str]]) -> None:
    """At the import, at the field, in the words that parameters have."""
    assert [(f"/services/web/monitoring/{name}", message) for name, message in expected] == world.problems(**said)


def test_the_script_judges_again(world: World) -> None:
    """A value that got past the import, by another version's hands, is refused before anything is touched."""
    world.declare(job="x" * 61)
    said = world.told("once") + world.told("status")
    assert "monitoring job: is above 60 characters" in said
    assert not world.check.exists()
