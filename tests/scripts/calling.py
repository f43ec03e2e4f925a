"""Calling a service script as the puller does: from nothing, in its own session, with files for output."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from desired_state.answer import observation_of, read_answer
from desired_state.contract import Verb
from puller.calls.environment import told
from puller.kinds.traces import running_below
from puller.looking.glance import HostGlance
from puller.ports import NOTHING_KNOWN, Known
from tests.middleware import Package

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
KINDS = sorted(path.name.removesuffix("ctl.sh") for path in SCRIPTS.glob("*ctl.sh"))
TIMEOUT_S = int(os.environ.get("TOWLINE_TEST_TIMEOUT_S", "300"))
"""How long a call may take; a machine with much else to do needs more for servers on the JVM."""


class Said(Struct, frozen=True, kw_only=True):
    """What one call answered."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> dict[str, str]:
        """The last value of each fact."""
        return {key: value for key, _, value in (line.partition("=") for line in self.out.splitlines())}

    def all(self, name: str) -> list[str]:
        """Every value of a fact."""
        return [line.partition("=")[2] for line in self.out.splitlines() if line.startswith(f"{name}=")]

    @property
    def changed(self) -> str:
        """`0` or `1`."""
        return self.facts.get("changed", "")

    @property
    def reason(self) -> str:
        """The last reason of people's log, or of the facts."""
        said = [line.partition(": ")[2] for line in self.err.splitlines() if line.startswith("reason: ")]
        return said[-1] if said else self.facts.get("reason", "")

    @property
    def identity(self) -> tuple[str, str, str]:
        """Which process: boot, pid, start."""
        return self.facts["boot_id"], self.facts["pid"], self.facts["start_time"]


class Service:
    """One service of one kind under a scratch prefix."""

    def __init__(
        self,
        *,
        kind: str,
        name: str,
        folder: Path,
        version: str = "",
        packages: Mapping[str, Package] | None = None,
        parameters: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        state: str = "running",
        prefix: Path | None = None,
    ) -> None:
        self.kind, self.name, self.version, self.state = kind, name, version, state
        self.packages, self.parameters = dict(packages or {}), dict(parameters or {})
        self.secrets = dict(secrets or {})
        self.folder = folder
        self.programs: Path | None = None  # a folder whose programs every call finds first
        self.prefix = prefix or folder / "prefix"
        self.root = self.prefix / "services" / name
        self.scratch = folder / f"scratch-{name}"
        self.scratch.mkdir(parents=True, exist_ok=True)

    def changed(
        self, *, parameters: Mapping[str, str] | None = None, secrets: Mapping[str, str] | None = None
    ) -> "Service":
        """The same service of another document."""
        return Service(
            kind=self.kind,
            name=self.name,
            folder=self.folder,
            version=self.version,
            packages=self.packages,
            parameters=self.parameters if parameters is None else parameters,
            secrets=self.secrets if secrets is None else secrets,
            state=self.state,
            prefix=self.prefix,
        )

    def environment(self) -> dict[str, str]:
        """As docs/scripts/contract.md builds it."""
        made = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.scratch),
            "LANG": "C.UTF-8",
            "TOWLINE_PREFIX": str(self.prefix),
            "TOWLINE_SERVICE": self.name,
            "TOWLINE_KIND": self.kind,
            "TOWLINE_VERSION": self.version,
            "TOWLINE_STATE": self.state,
            "TOWLINE_STEP": "sha256:step",
            "TOWLINE_TIMEOUT_S": str(TIMEOUT_S),
        }
        made |= {f"TOWLINE_PARAM_{name}": value for name, value in self.parameters.items()}
        for name, text in self.secrets.items():
            path = self.scratch / f"secret-{name}"
            path.touch(mode=0o600)
            path.write_bytes(text.encode())
            made[f"TOWLINE_SECRET_{name}"] = str(path)
        for role, package in self.packages.items():
            variable = f"TOWLINE_PACKAGE_{role}"
            made |= {variable: str(package.path), f"{variable}_NAME": package.name, f"{variable}_FILE": package.file}
            made |= {f"{variable}_VERSION": package.version, f"{variable}_DIGEST": package.digest}
        return made

    def begin(self, verb: str, *, path: str = "", known: Known = NOTHING_KNOWN) -> "Running":
        """Starts a call and does not wait for it; programs of that folder come first."""
        environment = self.environment() | told(known)
        if first := path or self.programs:
            environment["PATH"] = f"{first}:{environment['PATH']}"
        out, err = self.scratch / "out", self.scratch / "err"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                ["bash", str(SCRIPTS / f"{self.kind}ctl.sh"), verb],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=self.scratch,
                env=environment,
                start_new_session=True,
            )
        return Running(process=process, out=out, err=err)

    def call(self, verb: str) -> Said:
        """One call; its answer must be one that the puller can believe."""
        said = self.begin(verb).wait()
        answer = read_answer(Verb(verb), said.code, said.out.encode(), said.err.encode())
        assert answer.fault == ""
        return said

    def do(self, *verbs: str) -> Said:
        """Calls that must succeed; the last one's answer."""
        for verb in verbs:
            said = self.call(verb)
            assert said.code == 0, f"{verb} of {self.name}: {said.code} {said.err[-600:]}"
        return said

    def do_discover(self) -> list[str]:
        """The instances that discover finds."""
        return self.do("discover").all("instance")

    def status(self) -> Said:
        """What check_status says."""
        return self.call("check_status")

    def known(self, said: Said) -> Known:
        """What the puller tells with its next look, after this answer of check_status."""
        answer = read_answer(Verb.CHECK_STATUS, said.code, said.out.encode(), said.err.encode())
        return HostGlance().known(observation_of(self.name, answer, datetime.now(UTC)))

    def status_again(self, known: Known) -> Said:
        """What check_status says to a caller who has just read that itself."""
        return self.begin("check_status", known=known).wait()

    def state_now(self) -> str:
        """The state that check_status tells."""
        return self.status().facts["state"]

    def process(self) -> int:
        """The pid that check_status tells."""
        return int(self.status().facts["pid"])


class Running(Struct, frozen=True, kw_only=True):
    """A call under way."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def wait(self) -> Said:
        """Its answer."""
        code = self.process.wait(TIMEOUT_S)
        return Said(code=code, out=self.out.read_text("utf-8", "replace"), err=self.err.read_text("utf-8", "replace"))

    def kill_after(self, seconds: float) -> None:
        """SIGKILL for all of its session, some time after its start, unless it is over by then."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(TIMEOUT_S)


def eventually(seconds: float, question: Callable[[], bool]) -> bool:
    """Asks until the answer is yes or the time is over."""
    until = time.monotonic() + seconds
    while not question():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def end_processes(folder: Path) -> None:
    """Kills what still runs below the scratch folder: this run's own."""
    for pid in running_below(folder):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
