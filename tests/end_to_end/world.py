"""A backend, its catalogue, and hosts with real Valkeys under one scratch folder: what the tests here share."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.end_to_end import databases
from tests.end_to_end.demo.backend import Backend
from tests.end_to_end.demo.catalogue import CatalogueFolder, bare_repository, service
from tests.end_to_end.demo.catalogue import host as host_entry
from tests.end_to_end.demo.machine import Machine
from tests.end_to_end.demo.narrator import Narrator, WentWrong
from tests.end_to_end.demo.processes import Processes, end, kept_processes, living_under, processes_under
from tests.middleware.archives import Package
from tests.middleware.packages import valkey_archive
from tests.servers.process import free_ports

PATIENCE_S = 60.0
"""Far more than anything here takes; only a test that fails waits for so long."""


class World:
    """Backend and catalogue; hosts are added by the tests. `close` ends every process."""

    def __init__(self, folder: Path, *, published: Path) -> None:
        self.folder = folder
        self.tell = Narrator()
        self.processes = Processes(folder / "logs")
        self.catalogue = CatalogueFolder(folder / "tree")
        self.published = published
        self.machines: dict[str, Machine] = {}
        self.valkey = valkey_archive()
        self.backend = Backend(
            folder / "backend", port=free_ports(1)[0], catalogue=self.catalogue.tree, published=published
        )

    def open(self, *packages: Package) -> None:
        """Starts the backend and puts Valkey, and what else is given, into its store and into the catalogue."""
        for package in (self.valkey, *packages):
            self.add_package(package)
        self.start_backend()
        self.backend.sign_in()

    def start_backend(self) -> None:
        """Starts `towline serve`; returns once it is ready."""
        self.backend.start(self.processes)
        self.until("the backend is ready", self.backend.answers)

    def add_package(self, package: Package) -> None:
        """Keeps its file in the backend's store, and writes its entry."""
        told = self.backend.run(
            "package", "add", str(package.path), "--name", package.name, "--version", package.version
        )
        self.catalogue.write({f"catalogue/packages/{package.name}-{package.version}.yaml": told})

    def declare(self, **services: str) -> None:
        """Writes these services, and makes the backend import and publish all that the folder holds now."""
        self.catalogue.write({f"catalogue/services/{name}.yaml": text for name, text in services.items()})
        self.publish()

    def publish(self) -> None:
        """What the backend's timers do, now."""
        imported = self.backend.ask("/v1/catalogue/import", method="POST")
        assert "refused" != imported["state"], imported["problems"]
        self.until("published", self._publish)

    def _publish(self) -> str | None:
        try:
            self.backend.ask("/v1/publish", method="POST")
        except WentWrong as error:
            if "answered 503" not in str(error):
                raise
            return "the timer publishes at this moment"
        return None

    def valkey_on(
        self,
        host: str,
        name: str,
        port: int,
        *,
        package: Package | None = None,
        state: str = "running",
        purge: bool = False,
        **parameters: object,
    ) -> str:
        """The entry of a Valkey."""
        used = package or self.valkey
        return service(
            name,
            "redis",
            used.version,
            host,
            packages={"server": f"{used.name}-{used.version}"},
            parameters={"port": port, "maxmemory": "16mb", **parameters},
            state=state,
            purge=purge,
        )

    def host(self, name: str, *, more: str = "", **how: Any) -> Machine:
        """Declares a host, with more lines of its entry, and enrols it. `how`: see Machine."""
        self.declare_host(name, more=more)
        self.publish()
        machine = Machine(name, self.folder / "hosts", **how)
        self.machines[name] = machine
        invitation = self.backend.ask(f"/v1/hosts/{name}/invitation", method="POST", body={})
        machine.use_token(invitation["join_token"])
        return machine

    def converge(self, machine: Machine, *, ends: int = 0) -> None:
        """Makes passes until one has had the newest document; it must end with this exit code.

        The backend answers polls from what it looked up at most half a second ago.
        """
        newest = self.backend.revision(machine.name)

        def behind() -> str | None:
            machine.run("once", accept=(0, 1, 2))
            found = databases.status(machine).get("accepted_revision")
            return None if found == newest else f"revision {found} is accepted, not {newest}"

        self.until(f"{machine.name} has revision {newest}", behind)
        machine.run("status", accept=(ends,))

    def declare_host(self, name: str, *, more: str = "") -> None:
        """Writes the entry of a host."""
        self.catalogue.write({f"catalogue/hosts/{name}.yaml": host_entry(name) + more})

    def until(self, what: str, check: Callable[[], str | None], *, limit_s: float = PATIENCE_S) -> None:
        """Waits until the check returns None; until then it returns what is missing. A process that died ends it."""

        def missing() -> str | None:
            self.processes.must_live()
            return check()

        self.tell.until(what, missing, limit_s=limit_s, every_s=0.1)

    def until_standing(self, host: str, word: str) -> str:
        """Waits until a host stands so; the sentence that says why."""
        self.until(f"{host} is {word}", partial(self._not_yet, host, word))
        return self.backend.standings()[host][1]

    def _not_yet(self, host: str, word: str) -> str | None:
        found = self.backend.standings()[host]
        return None if found[0] == word else ": ".join(found)

    def close(self) -> list[str]:
        """Ends everything; what lived on nevertheless, and was ended by force, is returned."""
        self.processes.stop_all()
        end(kept_processes(machine.prefix for machine in self.machines.values()))
        left = living_under(self.folder)
        end(processes_under(self.folder))
        self._print_logs()
        return left

    def _print_logs(self) -> None:
        """What pytest shows of a test that failed, and of no other."""
        for log in sorted((self.folder / "logs").glob("*.log")):
            print(f"--- the end of {log.name}\n{self.processes.tail(log.stem, 40)}")


@contextmanager
def new_world(*, git: bool = False) -> Iterator[World]:
    """A world that publishes to a folder, or to a git repository."""
    # Not in pytest's folder: its name is long, and it keeps what was in it.
    folder = Path(tempfile.mkdtemp(prefix="towline-e2e-"))
    published = folder / ("published.git" if git else "published")
    left: list[str] = []
    try:
        if git:
            bare_repository(published)
        world = World(folder, published=published)
        try:
            yield world
        finally:
            left = world.close()
    finally:
        shutil.rmtree(folder)
    assert [] == left, "processes were left behind"


def only(found: list[Mapping[str, Any]], **wanted: object) -> Mapping[str, Any]:
    """The one entry of a list of JSON objects whose fields are these."""
    matching = [one for one in found if all(one.get(key) == value for key, value in wanted.items())]
    assert len(matching) == 1, f"{len(matching)} of {found} are {wanted}"
    return matching[0]
