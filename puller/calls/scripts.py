"""The scripts of one bundle: from a service and a verb to a call, and to what the script answered."""

from collections.abc import Mapping
from pathlib import Path

import structlog
from msgspec import Struct
from msgspec.structs import replace

from desired_state.answer import observation_of, read_answer
from desired_state.contract import KindMeta, Verb
from desired_state.document import Service, Value
from desired_state.names import Digest, Kind, ParameterName, ServiceName
from desired_state.observed import Observation
from desired_state.record import Recorded
from desired_state.withdrawal import ToHold
from puller.bundles import Bundle, BundleDamaged, check_bundle
from puller.calls.environment import environment, told
from puller.calls.secrets import Secrets
from puller.paths import Paths
from puller.ports import NOTHING_KNOWN, Call, Clock, Known, Runner
from puller.reconciling.parts import Parts

DEFAULT_TIMEOUT_S = 60
LOOK_STEP = "look"
KEPT_OPEN = 2
NO_SECRETS: Mapping[ParameterName, Path] = {}
_log = structlog.get_logger("towline.scripts")
AS_APPLIED = frozenset({Verb.CHECK_STATUS, Verb.STOP, Verb.RELEASE, Verb.UNINSTALL, Verb.PURGE})
"""Verbs about what is here, not about what is wanted: they are given what was applied last."""


class Scripts(Struct, frozen=True, kw_only=True):
    """The bundle that the document in force pins, on this host."""

    bundle: Bundle
    paths: Paths
    runner: Runner
    clock: Clock
    secrets: Secrets

    @property
    def kinds(self) -> Mapping[Kind, KindMeta]:
        """What each script says of itself."""
        return self.bundle.index.kinds

    def timeout_s(self, kind: Kind, verb: Verb) -> int:
        """How long a call may take."""
        declared = self.kinds[kind].verbs.get(verb)
        return declared.timeout_s if declared else DEFAULT_TIMEOUT_S

    def call(
        self,
        service: Service,
        verb: Verb,
        *,
        step: str,
        folder: Path,
        secrets: Mapping[ParameterName, Path] = NO_SECRETS,
    ) -> Call:
        """The call of that verb. Raises BundleDamaged when the scripts on disk are not the bundle's.

        `secrets`: the files of the service's secrets. A look gets none: scripts read their own configuration.
        """
        check_bundle(self.bundle)
        meta, timeout_s = self.kinds[service.kind], self.timeout_s(service.kind, verb)
        return Call(
            step=step,
            service=service.name,
            verb=verb,
            script=self.bundle.path / f"{service.kind}ctl.sh",
            folder=folder,
            timeout_s=timeout_s,
            environment=environment(
                service,
                meta,
                prefix=self.paths.prefix,
                home=folder,
                step=step,
                timeout_s=timeout_s,
                packages={role: self.paths.artifact(package.digest) for role, package in service.packages.items()},
                secrets=secrets,
            ),
        )

    async def look(self, service: Service, known: Known = NOTHING_KNOWN) -> Observation:
        """Asks `check_status`. Whatever keeps the script from answering makes the service unknown, and nothing else.

        `known`: what the caller has just read of the service's files and process.
        """
        if service.kind not in self.kinds:
            why = f"the bundle that the document pins has no script of kind {service.kind} that this agent can read"
            return self._unknown(service, why)
        folder = self.paths.steps / LOOK_STEP / service.name
        try:
            call = self.call(service, Verb.CHECK_STATUS, step=look_step(service.name), folder=folder)
            ended = await self.runner.ask(replace(call, environment=call.environment | told(known)))
        except (BundleDamaged, OSError) as error:
            return self._unknown(service, f"check_status cannot be run: {error}")
        if ended.timed_out:
            return self._unknown(service, f"check_status did not end within {call.timeout_s} s")
        ended = self.secrets.taken_out(service, ended)
        answer = read_answer(Verb.CHECK_STATUS, ended.exit_code, ended.stdout, ended.stderr)
        return observation_of(service.name, answer, self.clock.now())

    def _unknown(self, service: Service, reason: str) -> Observation:
        return Observation(service=service.name, state="unknown", seen_at=self.clock.now(), reason=reason)


def look_step(service: ServiceName) -> str:
    """The `TOWLINE_STEP` of a look at a service."""
    return f"{LOOK_STEP}-{service}"


class ScriptShelf:
    """Brings a document's bundle to this host, and keeps the last ones opened."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._opened: dict[Digest, Bundle] = {}
        self.secrets = Secrets(parts.host, parts.paths)

    async def scripts(self, accepted: ToHold) -> Scripts:
        """The scripts that the document pins, equal to its archive. Raises Unavailable or Stalled."""
        artifact = accepted.document.bundle
        bundle = self._opened.get(artifact.digest)
        if bundle is None or _damaged(bundle):
            archive = await self._parts.artifacts.ensure(artifact, accepted.document.artifact_bases)
            bundle = self._parts.bundles.open(archive, artifact.digest)
            self._opened = dict([*self._opened.items(), (artifact.digest, bundle)][-KEPT_OPEN:])
        return Scripts(
            bundle=bundle,
            paths=self._parts.paths,
            runner=self._parts.runner,
            clock=self._parts.clock,
            secrets=self.secrets,
        )


def _damaged(bundle: Bundle) -> bool:
    try:
        check_bundle(bundle)
    except BundleDamaged as damage:
        _log.warning("bundle damaged on disk", reason=str(damage))
        return True
    return False


def as_applied(wanted: Service | None, recorded: Recorded | None) -> Service:
    """The service as it is here: what was applied last, else what is wanted. One of the two must be there."""
    if recorded is None or recorded.state == "absent":
        if wanted is None:
            raise ValueError("a service that is neither wanted nor recorded")
        return wanted
    packages = {
        role: package
        for role, package in (wanted.packages.items() if wanted else ())
        if recorded.packages.get(role) == package.digest
    }
    secrets = {
        name: secret
        for name, secret in (wanted.secrets.items() if wanted else ())
        if name in recorded.secrets and str(recorded.secrets[name]) == str(secret)
    }
    adopted = recorded.adopted and wanted is not None  # `configure` never ran for it: the document has its parameters
    parameters: dict[str, Value] = dict(wanted.parameters) if adopted and wanted else dict(recorded.parameters)
    return Service(
        name=recorded.name,
        kind=recorded.kind,
        version=recorded.version,
        state=wanted.state if wanted else recorded.state,
        parameters=parameters,
        secrets=secrets,
        packages=packages,
    )
