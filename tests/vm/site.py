"""The operator's side: a real backend behind TLS of a private authority, on the host's address, and its catalogue."""

import json
import shutil
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from tests.end_to_end.demo import catalogue
from tests.end_to_end.demo.commands import command, own_environment
from tests.middleware import Package
from tests.servers.certificates import PrivateCa
from tests.servers.process import ServerProcess
from tests.vm.console import WentWrong
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.waiting import PATIENCE_S, until

NAME = "towline.test"
PORT = 8470
CA_ON_HOSTS = "/srv/authority.pem"


class Site:
    """Backend and catalogue; `close` ends the backend."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.lab, self.folder = lab, folder
        self.url = f"https://{NAME}:{PORT}"
        self.ca = PrivateCa(folder / "authority")
        certificate, key = self.ca.issue(NAME, lab.network.host)
        self.catalogue = catalogue.CatalogueFolder(folder / "tree")
        self._config = folder / "towline.toml"
        self._config.write_text(
            f'[server]\nhost = "{lab.network.host}"\nport = {PORT}\nbase_url = "{self.url}"\n'
            f'tls_cert_file = "{certificate}"\ntls_key_file = "{key}"\n[state]\nfolder = "{folder / "state"}"\n'
            f'[catalogue]\npoll_s = 5\nfolder = "{self.catalogue.tree}"\n'
            f'[publish]\npoll_s = 1\ndirectory = "{folder / "published"}"\n'
        )
        self._https = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(self.ca.pem))),
        )
        self._token = ""
        self._writing = threading.Lock()
        self._server: ServerProcess | None = None

    # ---- the backend

    def start(self) -> None:
        """Starts `towline serve`; returns when it is ready."""
        serve = [*command("towline"), "--config", str(self._config), "serve"]
        self._server = ServerProcess(serve, log=self.folder / "backend.log", env=own_environment(self.folder))
        self._server.wait_until(self._is_ready)
        if not self._token:
            self._token = self.run("token", "create", "tests").strip().splitlines()[-1]

    def stop(self) -> None:
        """Ends it."""
        assert self._server is not None
        self._server.stop()

    def run(self, *arguments: str, given: str = "") -> str:
        """Runs `towline` with these arguments and this input; what it printed."""
        done = subprocess.run(
            [*command("towline"), "--config", str(self._config), *arguments],
            env=own_environment(self.folder),
            cwd=self.folder,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise WentWrong(f"towline {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def ask(self, path: str, *, method: str = "GET", body: object = None) -> Any:
        """A REST call; the JSON of its answer."""
        request = urllib.request.Request(
            f"https://{self.lab.network.host}:{PORT}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        try:
            with self._https.open(request, timeout=120) as answer:
                return json.loads(answer.read() or b"null")
        except HTTPError as error:
            said = error.read().decode("utf-8", "replace")[:500]
            raise WentWrong(f"{method} {path} answered {error.code}: {said}") from error

    def fetch(self, path: str) -> bytes:
        """What anybody gets for a path."""
        with self._https.open(f"https://{self.lab.network.host}:{PORT}{path}", timeout=120) as answer:
            return bytes(answer.read())

    def _is_ready(self) -> bool:
        try:
            with self._https.open(f"https://{self.lab.network.host}:{PORT}/readyz", timeout=10) as answer:
                return bool(answer.status == 200)
        except (OSError, HTTPException):
            return False

    # ---- the catalogue

    def add_package(self, package: Package) -> None:
        """Keeps its file in the backend's store, and writes its entry."""
        named = ("--name", package.name, "--version", package.version)
        told = self.run("package", "add", str(package.path), *named)
        self.catalogue.write({f"catalogue/packages/{package.name}-{package.version}.yaml": told})

    def declare(self, hosts: Mapping[str, str] | None = None, **services: str) -> None:
        """Writes entries of hosts (with more lines) and of services, and has them published."""
        with self._writing:
            self._declare(hosts or {}, services)

    def _declare(self, hosts: Mapping[str, str], services: Mapping[str, str]) -> None:
        self.catalogue.write(
            {f"catalogue/hosts/{name}.yaml": catalogue.host(name) + more for name, more in hosts.items()}
        )
        self.catalogue.write({f"catalogue/services/{name}.yaml": text for name, text in services.items()})
        self.publish()

    def publish(self) -> None:
        """What the backend's timers do, now."""
        imported = self.ask("/v1/catalogue/import", method="POST")
        assert "refused" != imported["state"], imported["problems"]
        until("published", self._published)

    def _published(self) -> bool:
        try:
            self.ask("/v1/publish", method="POST")
        except WentWrong as error:
            if "answered 503" not in str(error):
                raise
            return False  # the timer publishes at this moment
        return True

    # ---- hosts

    def invite(self, host: str, *options: str) -> str:
        """The command to paste, as `towline host invite` prints it."""
        return self.run("host", "invite", host, "--ca-file", CA_ON_HOSTS, *options)

    def trusted_by(self, machine: Machine) -> None:
        """Lays the authority's certificate on a VM, as whoever makes VMs does."""
        machine.copy(self.ca.pem, CA_ON_HOSTS)

    def standing(self, host: str) -> tuple[str, str]:
        """Its word and its sentence, as the page shows them."""
        for line in self.ask("/v1/fleet")["lines"]:
            if line["host"] == host:
                return line["standing"]["word"], line["standing"]["sentence"]
        raise WentWrong(f"the fleet has no host {host}")

    def until_standing(self, host: str, word: str, *, says: str = "", limit_s: float = PATIENCE_S) -> str:
        """Waits until a host stands so, and its sentence has these words; the sentence."""
        until(
            f"{host} is {word} {says}",
            lambda: _is(self.standing(host), word, says),
            limit_s=limit_s,
            seen=lambda: self.standing(host),
        )
        return self.standing(host)[1]

    def until_converged(self, *hosts: str, limit_s: float = PATIENCE_S) -> None:
        """Waits until each of these hosts has reached its newest document."""
        for host in hosts:
            self.until_standing(host, "converged", limit_s=limit_s)

    def close(self) -> None:
        """Ends the backend, and removes all it kept. Its last words are what pytest shows of a test that failed."""
        if self._server is not None:
            self._server.stop()
            print(self._server.log_tail())
        shutil.rmtree(self.folder)


def _is(found: tuple[str, str], word: str, says: str) -> bool:
    return found[0] == word and says in found[1]
