"""The kinds as root under systemd: each as an account of its own, kept by a unit of its own, gone with purge."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from desired_state.answer import read_answer
from desired_state.contract import Verb
from tests.scripts.calling import KINDS, SCRIPTS, Said
from tests.scripts.kinds.case import Case, Neighbour, case_of, has_software
from tests.vm.lab import Lab
from tests.vm.machine import Machine

PORT = 18080
REAL = [kind for kind in KINDS if has_software(kind)]
WITH_PROCESS = [kind for kind in REAL if case_of(kind).process]


class OnAMachine:
    """One service of one kind below /opt/towline of a VM, called as the puller calls its script."""

    def __init__(
        self,
        machine: Machine,
        described: Case | Neighbour,
        *,
        kind: str,
        name: str,
        parameters: Mapping[str, str],
    ) -> None:
        self.machine, self.kind, self.name = machine, kind, name
        self.parameters = dict(parameters)
        self._environment = self._made(described)

    def call(self, verb: str) -> Said:
        """One call; its answer must be one that the puller can believe."""
        parameters = {f"TOWLINE_PARAM_{name}": value for name, value in self.parameters.items()}
        variables = {**self._environment, **parameters}
        command = ["env", "-i", *(f"{name}={value}" for name, value in variables.items())]
        done = self.machine.run(*command, "bash", f"/opt/scripts/{self.kind}ctl.sh", verb, accept=None)
        answer = read_answer(Verb(verb), done.status, done.out.encode(), done.err.encode())
        assert answer.fault == ""
        return Said(code=done.status, out=done.out, err=done.err)

    def do(self, *verbs: str) -> Said:
        """Calls that must succeed; the last one's answer."""
        for verb in verbs:
            said = self.call(verb)
            assert said.code == 0, f"{verb} of {self.name}: {said.code} {said.err[-600:]}"
        return said

    def user(self, pid: str) -> str:
        """Whose process it is."""
        return self.machine.run("stat", "-c", "%U", f"/proc/{pid}").out.strip()

    def gone(self) -> None:
        """Whatever has become of it, and whether it was there at all."""
        for verb in ("stop", "uninstall", "purge"):
            self.call(verb)

    def _made(self, described: Case | Neighbour) -> dict[str, str]:
        made = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "TOWLINE_PREFIX": "/opt/towline",
            "TOWLINE_SERVICE": self.name,
            "TOWLINE_KIND": self.kind,
            "TOWLINE_VERSION": described.version,
            "TOWLINE_STATE": "running",
            "TOWLINE_TIMEOUT_S": "120",
        }
        for name, text in described.secrets.items():
            file = f"/run/secret-{self.name}-{name}"
            self.machine.write(file, text, mode=0o600)
            made[f"TOWLINE_SECRET_{name}"] = file
        for role, package in described.packages().items():
            self.machine.copy(package.path, f"/opt/{package.file}")
            variable = f"TOWLINE_PACKAGE_{role}"
            made |= {variable: f"/opt/{package.file}", f"{variable}_NAME": package.name}
            made |= {f"{variable}_FILE": package.file, f"{variable}_VERSION": package.version}
            made[f"{variable}_DIGEST"] = package.digest
        return made


@pytest.fixture(scope="module")
def machine(lab: Lab) -> Iterator[Machine]:
    """A VM with the scripts, and nothing of towline's else."""
    made = lab.booted("kinds")
    for path in sorted(SCRIPTS.rglob("*.sh")):
        target = Path("/opt/scripts") / path.relative_to(SCRIPTS)
        made.run("mkdir", "-p", str(target.parent))
        made.copy(path, str(target))
    yield made
    lab.remove(made)


@contextmanager
def service_of(machine: Machine, kind: str) -> Iterator[OnAMachine]:
    """One of that kind, beside what it asks. In the end both are gone, so that the next one has the port."""
    case, name = case_of(kind), f"{kind.replace('_', '-')}-one"
    with ExitStack() as stack:
        parameters = dict(case.parameters(PORT))
        if (asked := case.asks) is not None:
            port = {"port": str(PORT + 1)}
            beside = OnAMachine(
                machine, asked, kind=asked.kind, name=asked.name, parameters={**asked.parameters, **port}
            )
            stack.callback(beside.gone)
            beside.do("install", "configure", "start")
            parameters["target"] = f"127.0.0.1:{PORT + 1}"
        made = OnAMachine(machine, case, kind=kind, name=name, parameters=parameters)
        stack.callback(made.gone)
        yield made


@pytest.mark.parametrize("kind", WITH_PROCESS)
def test_a_service_has_a_unit_and_an_account(machine: Machine, kind: str) -> None:
    """It runs as nobody else, comes back by systemd when it is killed, and its account goes with purge."""
    with service_of(machine, kind) as service:
        service.do("install", "configure", "start")
        assert "0" == service.do("start").changed
        first = service.do("check_status")
        account = f"towline-{service.name}"
        assert f"{account}.service" == first.facts["unit"]
        assert account == service.user(first.facts["pid"])
        machine.run("kill", "-9", first.facts["pid"])
        machine.until("systemd has started it again", lambda: service.call("check_status").facts["state"] == "running")
        again = service.do("check_status")
        assert first.identity != again.identity
        assert "1" == service.do("restart").changed
        assert [first.facts["config"]] == service.do("configure").all("config")
        service.do("stop")
        assert "stopped" == service.call("check_status").facts["state"]
        service.do("uninstall", "purge")
        assert not machine.exists(f"/etc/systemd/system/{account}.service")
        assert 2 == machine.run("getent", "passwd", account, accept=(0, 2)).status
        assert service.name not in machine.run("ls", "-A", "/opt/towline/services").out


@pytest.mark.parametrize("kind", [kind for kind in WITH_PROCESS if case_of(kind).real.reloaded])
def test_a_reload_works_under_systemd(machine: Machine, kind: str) -> None:
    """The same process, of its own account, reads what root has written."""
    with service_of(machine, kind) as service:
        service.do("install", "configure", "start")
        before = service.do("check_status")
        service.parameters |= case_of(kind).real.reloaded
        service.do("configure", "reload")
        assert before.identity == service.do("check_status").identity


@pytest.mark.parametrize("kind", [kind for kind in REAL if not case_of(kind).process])
def test_what_has_no_process_has_no_unit(machine: Machine, kind: str) -> None:
    """It is in use, without an account and a unit, and other accounts can use it."""
    with service_of(machine, kind) as service:
        service.do("install", "configure", "start")
        assert "unit" not in service.do("check_status").facts
        root = f"/opt/towline/services/{service.name}"
        machine.run("setpriv", "--reuid=65534", "--clear-groups", "test", "-x", f"{root}/current/bin")
        machine.run("setpriv", "--reuid=65534", "--clear-groups", "cat", f"{root}/etc/java.env")
        service.do("stop", "uninstall", "purge")
        assert service.name not in machine.run("ls", "/opt/towline/services").out
