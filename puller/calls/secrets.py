"""A service's secrets on this host: opened for the length of a step, and taken out of all that the step leaves."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import structlog
from msgspec.structs import replace

from desired_state.document import Document, SealedSecret, Service
from desired_state.names import HostName, ParameterName, SecretName, ServiceName
from desired_state.sealing import NotSealed, open_sealed
from puller.calls.redaction import StepRedactor
from puller.durable_file import write_file
from puller.identity import load_keys
from puller.paths import Paths
from puller.ports import Ended, Stalled
from puller.secret_folder import SecretFolder

LEFT_BEHIND = ("err", "out", "receipt")
"""What a keeper writes into a step's scratch folder."""
_log = structlog.get_logger("towline.secrets")


class Secrets:
    """Opens with the host's sealing key, each time anew: no value stays in this process longer than it is needed."""

    def __init__(self, host: HostName, paths: Paths, folder: SecretFolder | None = None) -> None:
        self._host, self._paths = host, paths
        self._folder = folder or SecretFolder(paths.prefix)
        self._held: dict[ServiceName, frozenset[SealedSecret]] = {}

    def hold(self, documents: Iterable[Document]) -> None:
        """The documents that this host has. While a new version goes in, a script may still print the one before."""
        held: dict[ServiceName, frozenset[SealedSecret]] = {}
        for service in (service for document in documents for service in document.services):
            held[service.name] = held.get(service.name, frozenset()).union(service.secrets.values())
        self._held = held

    def lay_out(self, service: Service, folder: Path) -> dict[ParameterName, Path]:
        """A file for each secret of the service, for the step with that scratch folder. Raises Stalled, Unavailable."""
        values = self._opened(service)
        return self._folder.lay_out(self._step(folder), values) if values else {}

    def remove(self, folder: Path) -> None:
        """The files of the step with that scratch folder: it has ended."""
        self._folder.remove(self._step(folder))

    def sweep(self) -> None:
        """Files of steps that nobody knows any more. Only while no step runs."""
        self._folder.sweep()

    def taken_out(self, service: Service, ended: Ended, folder: Path | None = None) -> Ended:
        """What a call printed, without the service's secrets; the files in its scratch folder are rewritten too."""
        secrets = self._held.get(service.name, frozenset()).union(service.secrets.values())
        if not secrets:
            return ended
        try:
            redact = StepRedactor(self._values(secrets))
        except Stalled as error:  # none was opened for this call either; its facts count, its words can be spared
            _log.warning("a script's words are withheld", service=service.name, reason=str(error))
            return replace(ended, stderr=b"")
        for name in LEFT_BEHIND if folder is not None else ():
            _rewrite((folder or Path()) / name, redact)
        return replace(ended, stdout=redact(ended.stdout), stderr=redact(ended.stderr))

    def _opened(self, service: Service) -> Mapping[ParameterName, bytes]:
        if not service.secrets:
            return {}
        key = load_keys(self._paths.keys).sealing
        try:
            return {name: open_sealed(secret, host=self._host, key=key) for name, secret in service.secrets.items()}
        except NotSealed as error:
            raise Stalled(f"{error}; was this host enrolled anew? its next document has it sealed anew") from error

    def _values(self, secrets: Iterable[SealedSecret]) -> Iterator[tuple[SecretName, bytes]]:
        """Those that can be opened: what is not sealed to this host cannot have been printed by it. Raises Stalled."""
        key = load_keys(self._paths.keys).sealing
        for secret in secrets:
            with suppress(NotSealed):
                yield secret.name, open_sealed(secret, host=self._host, key=key)

    def _step(self, folder: Path) -> str:
        return str(folder.relative_to(self._paths.steps))


def _rewrite(path: Path, redact: StepRedactor) -> None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    clean = redact(data)
    if clean == data:
        return
    try:
        write_file(path, clean, mode=0o600)
    except OSError as error:  # a full disk: a log that is lost is better than one that tells a secret
        path.unlink()
        _log.warning("a step's file is removed, its secrets could not be taken out", file=path.name, reason=str(error))
