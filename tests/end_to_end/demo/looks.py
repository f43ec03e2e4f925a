"""What the story looks at: the backend's answers, and the real services behind them.

A check returns None once it holds, and until then what is still missing: that is what the narrator waits on.
"""

from collections.abc import Mapping
from typing import Any

from .backend import Backend
from .machine import Machine
from .narrator import WentWrong
from .processes import Processes
from .wire import http_text, redis_ask

CONVERGED = "converged"


class Looks:
    """Everything that can be asked. A process of the demo that died by itself ends each wait at once."""

    def __init__(self, backend: Backend, processes: Processes, port: Mapping[str, int]) -> None:
        self._backend = backend
        self._processes = processes
        self._port = port

    def backend_answers(self) -> str | None:
        """The backend is ready."""
        self._processes.must_live()
        return self._backend.answers()

    def published(self, wanted: Mapping[str, int]) -> str | None:
        """Each host has this revision."""
        self._processes.must_live()
        lines = {line["host"]: line for line in self._backend.ask("/v1/fleet")["lines"]}
        for host, revision in wanted.items():
            found = (lines.get(host) or {"facts": {}})["facts"].get("published") or {}
            if found.get("revision") != revision:
                return f"{host} has revision {found.get('revision', '(none)')}, not {revision}"
        return None

    def converged(self, *hosts: str) -> str | None:
        """These hosts, or all, are converged."""
        self._processes.must_live()
        found = self._backend.standings()
        told = [(host, *found[host]) for host in hosts or found]
        return "; ".join(f"{host} {word}: {why}" for host, word, why in told if word != CONVERGED) or None

    def runs_anew(self, machine: Machine, service: str, before: int) -> str | None:
        """A Redis runs as another process than before, and answers."""
        pid = machine.pid(service)
        if pid is None or pid == before:
            return f"{service} does not run yet"
        return None if redis_ask(self._port[service], "PING") == "PONG" else f"pid {pid} does not answer PING yet"

    def repair(self, host: str, service: str, verb: str) -> tuple[str, str] | None:
        """The newest run with a corrective step of that service: its id and the reason."""
        for line in self._backend.ask(f"/v1/hosts/{host}/runs")["items"]:
            for step in line["run"].get("steps", []):
                if (step["service"], step["verb"], step["intent"]) == (service, verb, "corrective"):
                    return str(line["run"]["id"]), str(step["reasons"][0])
        return None

    def last_change(self) -> dict[str, Any]:
        """The newest change of the catalogue, applied or refused."""
        changes = self._backend.ask("/v1/catalogue/changes")["items"]
        return changes[0] if changes else {}

    def refused(self, commit: str) -> str | None:
        """That commit was looked at and refused."""
        change = self.last_change()
        seen = change.get("ref") == commit and change.get("state") == "refused"
        return None if seen else "the backend has not looked yet"

    def legacy_answers(self) -> str | None:
        """The JVM that somebody started by hand answers."""
        self._processes.must_live()
        return None if "2019" in (http_text(self._port["legacy"]) or "") else "no answer yet"

    def check_services(self, *, greeter: str) -> None:
        """All seven answer in their own protocol. Raises WentWrong."""
        for name in ("cache", "sessions", "queue"):
            if redis_ask(self._port[name], "PING") != "PONG":
                raise WentWrong(f"{name} does not answer PING")
        for name in ("greeter", "site"):
            said = http_text(self._port[name], "/version")
            if said is None or said.strip() != greeter:
                raise WentWrong(f"{name} answers {said!r} to /version, not {greeter}")
        for name in ("legacy", "edge"):
            if "2019" not in (http_text(self._port[name]) or ""):
                raise WentWrong(f"{name} does not answer as the adopted service")
