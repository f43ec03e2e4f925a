"""A host to try a kind on: a scratch folder with the scripts as a bundle has them, and an empty prefix."""

import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from desired_state.answer import Answer, read_answer
from desired_state.contract import READING, KindMeta, Verb
from desired_state.document import Service
from desired_state.names import ParameterName
from desired_state.shipped import SCRIPT_FOLDERS
from puller.calls.environment import environment
from puller.calls.runner import ScriptRunner
from puller.kinds.given import SERVICE, Given
from puller.kinds.traces import running_below
from puller.ports import Call, Ended, Stalled
from puller.secret_folder import SecretFolder

META_TIMEOUT_S = 10
OTHER_VERB_S = 60
NONE_OTHER: Mapping[ParameterName, bytes] = {}
NOTHING: Mapping[ParameterName, str] = {}


class Fault(Exception):
    """A script that does not keep the contract. The text says how, with what it answered."""


class LeftOut(Exception):
    """A check that cannot be made. The text says why, and what would make it possible."""


class Output(Struct, frozen=True, kw_only=True):
    """All that one call printed."""

    verb: Verb
    data: bytes


class Scratch:
    """One service of the kind on a host of its own. `meta` must be set before a verb is called."""

    def __init__(self, folder: Path, given: Given, progress: Callable[[str], None]) -> None:
        self.given = given
        self.folder = folder
        self.progress = progress
        self.script = folder / "scripts" / given.file.name
        self.prefix = folder / "prefix"
        self.root = self.prefix / "services" / SERVICE
        self.meta: KindMeta | None = None
        self.outputs: list[Output] = []
        self._runner = ScriptRunner()
        self._calls = 0

    def beside(self, name: str) -> "Scratch":
        """Another empty host with the same scripts."""
        other = Scratch(self.folder / name, self.given, self.progress)
        other.script, other.meta = self.script, self.meta
        return other

    @property
    def known(self) -> KindMeta:
        """What the script says of itself."""
        if self.meta is None:
            raise LeftOut("what the script answers to `meta` must be right first")
        return self.meta

    @cached_property
    def parameters(self) -> dict[ParameterName, str]:
        """Those that were given, and a free port wherever the kind listens and nobody said on which one."""
        listening = [name for name in self.known.ports if name not in self.given.parameters]
        wanted = [p.name for p in self.known.parameters if p.name in listening and (p.default or p.required)]
        return {**self.given.parameters, **{name: str(_free_port()) for name in wanted}}

    @cached_property
    def secrets(self) -> dict[ParameterName, bytes]:
        """Each secret of the kind: what was given, else something made up."""
        given = {name: path.read_bytes() for name, path in self.given.secrets.items()}
        wanted = [parameter.name for parameter in self.known.parameters if parameter.type == "secret"]
        return {name: given.get(name) or secrets.token_hex(12).encode() for name in wanted}

    @property
    def lacking(self) -> str:
        """What must be given before a service of this kind can live; empty when nothing lacks."""
        roles = [f"--package {p.role}=ARCHIVE" for p in self.known.packages if p.required]
        lacking = [option for option in roles if option.split()[1].split("=")[0] not in self.given.packages]
        lacking += [] if self.given.version else ["--version VERSION"]
        return " ".join([*lacking, *self._lacking_parameters])

    @property
    def _lacking_parameters(self) -> list[str]:
        required = [p.name for p in self.known.parameters if p.required and p.type != "secret"]
        return [f"--parameter {name}=VALUE" for name in required if name not in self.parameters]

    @property
    def lacking_parameters(self) -> str:
        """The required parameters that were not given, as options."""
        return " ".join(self._lacking_parameters)

    async def ask_meta(self) -> Ended:
        """`meta` with an empty environment."""
        call = self._call(Verb.META, {}, META_TIMEOUT_S)
        return await self._runner.ask(call)

    async def call(
        self,
        verb: Verb,
        *,
        parameters: Mapping[ParameterName, str] | None = None,
        monitoring: Mapping[ParameterName, str] = NOTHING,
        secret: Mapping[ParameterName, bytes] = NONE_OTHER,
        version: str = "",
    ) -> Answer:
        """One call as the agent makes it, with other values where they are given. Raises Fault where its answer cannot
        be believed."""
        declared = self.known.verbs.get(verb)
        timeout_s = declared.timeout_s if declared else OTHER_VERB_S
        given = self.parameters if parameters is None else parameters
        service = self.given.service(version or self.given.version, given, monitoring)
        call = self._call(verb, {}, timeout_s)
        opened = SecretFolder(self.prefix)
        values = {} if verb in READING else {**self.secrets, **secret}  # a look gets none
        try:
            call.environment.update(
                self._environment(service, call, opened.lay_out(call.step, values) if values else {})
            )
            ended = await (self._runner.ask(call) if verb in READING else self._runner.run(call))
        finally:
            opened.remove(call.step)
        self.outputs.append(Output(verb=verb, data=ended.stdout + ended.stderr))
        return _believed(call, ended)

    def _environment(self, service: Service, call: Call, opened: Mapping[ParameterName, Path]) -> dict[str, str]:
        return environment(
            service,
            self.known,
            prefix=self.prefix,
            home=call.folder,
            step=call.step,
            timeout_s=call.timeout_s,
            packages={role: path.absolute() for role, path in self.given.packages.items()},
            secrets=opened,
        )

    def _call(self, verb: Verb, given: dict[str, str], timeout_s: int) -> Call:
        self._calls += 1
        return Call(
            step=f"check-{os.getpid()}-{self._calls}",
            service=SERVICE,
            verb=verb,
            script=self.script,
            folder=self.folder / "steps" / str(self._calls),
            timeout_s=timeout_s,
            environment=given,
        )


def _believed(call: Call, ended: Ended) -> Answer:
    if ended.timed_out:
        raise Fault(f"{call.verb} did not end within its {call.timeout_s} s")
    if ended.leftovers:
        raise Fault(f"{call.verb} left {ended.leftovers} processes behind that carry TOWLINE_STEP or hold its output")
    answer = read_answer(call.verb, ended.exit_code, ended.stdout, ended.stderr)
    if answer.fault:
        raise Fault(f"{call.verb} {answer.fault}")
    return answer


@contextmanager
def scratch_host(given: Given, *, progress: Callable[[str], None]) -> Iterator[Scratch]:
    """An empty host with the scripts of towline and the given one beside them; in the end nothing of it is left.

    `progress` hears how far a check is that takes its time.
    """
    folder = Path(tempfile.mkdtemp(prefix="towline-kind-"))
    folder.chmod(0o755)  # `meta` and services of other accounts read what is theirs
    try:
        scratch = Scratch(folder, given, progress)
        _lay_scripts(given.file, folder / "scripts")
        yield scratch
    finally:
        for pid in running_below(folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def shipped_folder() -> Path:
    """The scripts that come with towline. Raises Stalled where they are missing."""
    for folder in map(Path, SCRIPT_FOLDERS):
        if (folder / "common.sh").is_file():
            return folder
    raise Stalled(f"the service scripts are missing: none of {', '.join(SCRIPT_FOLDERS)} holds a common.sh")


def _lay_scripts(file: Path, to: Path) -> None:
    """As a bundle has them: those of towline, and those that lie with the script."""
    shipped = shipped_folder()
    own = file.absolute().parent
    theirs = {path.relative_to(own): path for pattern in ("*.sh", "*/*.sh") for path in own.glob(pattern)}
    ours = {path.relative_to(shipped): path for path in shipped.rglob("*") if path.is_file()}
    for name, path in {**theirs, **ours, Path(file.name): file}.items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).write_bytes(path.read_bytes())
        (to / name).chmod(0o555 if name.suffix == ".sh" else 0o444)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
