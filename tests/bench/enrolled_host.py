"""One enrolled host under a scratch prefix, with a backend that it asks, and ten services of a trivial kind.

The services are real processes: ten `sleep`s with a configuration file each, started and looked at by a real script.
"""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from msgspec import structs
from sqlalchemy import insert, select

from api.backend import open_backend
from api.database import transaction
from api.models import host_document, host_identity, trust
from api.settings import ServerSettings, Settings, StateSettings
from desired_state.contract import KindMeta, Parameter, Verb, VerbMeta
from desired_state.document import Health, Service, encode
from desired_state.names import digest_of
from desired_state.note import sign
from puller.identity import generate_keys, store_keys
from puller.paths import Paths
from puller.settings import Settings as PullerSettings
from puller.settings import store_settings
from tests.bench.fleet import document
from tests.bench.served import Seeded, backend_process, command
from tests.fakes.puller import LocalArtifacts, bundle_of
from tests.servers.process import free_port, listens

HOST = "web-1"
SERVICES = 10
SCRIPT = r"""
set -eu
dir=$TOWLINE_PREFIX/services/$TOWLINE_SERVICE
config=$dir/config
digest() { local d; d=$(sha256sum <"$config"); d=$(printf '%s\n' "${d%% *}" | sha256sum); printf '%s' "${d%% *}"; }
case $1 in
  check_status)
    [[ -e $dir/version ]] || { printf 'state=absent\n'; exit 5; }
    printf 'version=%s\n' "$(<"$dir/version")"
    [[ -e $config ]] && printf 'config=sha256:%s\nwatch=%s\n' "$(digest)" "$config"
    if [[ -e $dir/pid ]] && stat=$(<"/proc/$(<"$dir/pid")/stat"); then
      set -- ${stat##*) }
      printf 'state=running\npid=%s\nstart_time=%s\nboot_id=%s\n' "$(<"$dir/pid")" "${20}" \
        "$(</proc/sys/kernel/random/boot_id)"
      exit 0
    fi 2>/dev/null
    printf 'state=stopped\n'
    exit 7 ;;
  install) mkdir -p "$dir"; printf '%s' "$TOWLINE_VERSION" >"$dir/version" ;;
  configure) printf '%s\n' "$TOWLINE_PARAM_text" >"$config"; printf 'config=sha256:%s\n' "$(digest)" ;;
  start)
    unset TOWLINE_STEP
    setsid sleep infinity </dev/null >/dev/null 2>&1 &
    printf '%s' "$!" >"$dir/pid" ;;
  *) exit 3 ;;
esac
printf 'changed=1\n'
"""
KIND = KindMeta(
    schema="towline.meta/1",
    kind="trivial",
    parameters=(Parameter(name="text", type="string", default="0"),),
    verbs={
        verb: VerbMeta(timeout_s=20)
        for verb in (Verb.CHECK_STATUS, Verb.INSTALL, Verb.CONFIGURE, Verb.START, Verb.STOP, Verb.UNINSTALL)
    },
)


@dataclass(frozen=True, kw_only=True)
class EnrolledHost:
    """A prefix whose puller knows its backend."""

    paths: Paths
    services: tuple[Service, ...]

    def puller(self, *arguments: str) -> list[str]:
        """`towline-puller` on this host."""
        return [*command("towline-puller", "puller.cli"), "--prefix", str(self.paths.prefix), *arguments]


@contextmanager
def enrolled_host(folder: Path, *, health_interval_s: int = 3600) -> Iterator[EnrolledHost]:
    """A host that never had a document, and its running backend; both end with the block."""
    settings = Settings(server=ServerSettings(port=free_port()), state=StateSettings(folder=folder / "backend"))
    host = EnrolledHost(
        paths=Paths(folder / "host"),
        services=tuple(
            Service(
                name=f"service-{number}", kind="trivial", version="1.0", health=Health(interval_s=health_interval_s)
            )
            for number in range(SERVICES)
        ),
    )
    asyncio.run(_enrol(settings, host))
    try:
        with backend_process(Seeded(settings=settings, polls=[])):
            deadline = time.monotonic() + 30
            while not listens(settings.server.port):
                assert time.monotonic() < deadline, "the backend does not listen"
                time.sleep(0.02)
            yield host
    finally:
        _end_services(host.paths)


async def _enrol(settings: Settings, host: EnrolledHost) -> None:
    host.paths.state.mkdir(parents=True)
    keys = generate_keys()
    store_keys(keys, host.paths.keys)
    bundle = LocalArtifacts(host.paths.artifacts).put(bundle_of({"trivialctl.sh": SCRIPT}, KIND))
    store_settings(host.paths, PullerSettings(host=HOST, backend_url=settings.server.url))
    now = datetime.now(UTC).replace(microsecond=0)
    wanted = structs.replace(
        document(HOST, services=0),
        bundle=bundle,
        services=host.services,
        issued_at=now,
        expires_at=now + timedelta(days=30),
    )
    async with open_backend(settings) as backend:
        note = sign(encode(wanted), [backend.trusted.keys.publisher])
        async with transaction(backend.engine) as connection:
            host.paths.trust.write_bytes((await connection.scalars(select(trust.c.note))).one())
            await connection.execute(
                insert(host_identity).values(
                    host=HOST,
                    identity_key=keys.identity_public,
                    sealing_key=keys.sealing_public,
                    enrolled_at_us=1,
                    agent_version="",
                    boot_id="",
                )
            )
            await connection.execute(
                insert(host_document).values(
                    host=HOST,
                    revision=1,
                    epoch=1,
                    digest=digest_of(note),
                    content_digest=digest_of(note),
                    note=note,
                    issued_at_us=int(wanted.issued_at.timestamp() * 1e6),
                    expires_at_us=int(wanted.expires_at.timestamp() * 1e6),
                )
            )


def _end_services(paths: Paths) -> None:
    for file in paths.prefix.glob("services/*/pid"):
        with suppress(ValueError, psutil.NoSuchProcess, ProcessLookupError):
            process = psutil.Process(int(file.read_text()))
            if process.cmdline()[:1] == ["sleep"]:
                os.kill(process.pid, signal.SIGKILL)


def run_bare(folder: Path, services: tuple[Service, ...], *, at_once: int) -> None:
    """The calls of a first convergence without a puller: look, install, configure, start, look; some side by side."""
    script = folder / "trivialctl.sh"
    script.parent.mkdir(parents=True)
    script.write_text(SCRIPT)
    try:
        verbs = (Verb.CHECK_STATUS, Verb.INSTALL, Verb.CONFIGURE, Verb.START, Verb.CHECK_STATUS)
        asyncio.run(_call(script, folder, services, verbs, at_once))
    finally:
        _end_services(Paths(folder))


def look_bare(host: EnrolledHost) -> None:
    """Ask every service's script how it is, without a puller."""
    script = host.paths.prefix / "look.sh"
    script.write_text(SCRIPT)
    asyncio.run(_call(script, host.paths.prefix, host.services, (Verb.CHECK_STATUS,), 2))


async def _call(
    script: Path, prefix: Path, services: tuple[Service, ...], verbs: tuple[Verb, ...], at_once: int
) -> None:
    room = asyncio.Semaphore(at_once)

    async def chain(service: Service) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "TOWLINE_PREFIX": str(prefix),
            "TOWLINE_SERVICE": service.name,
            "TOWLINE_VERSION": service.version,
            "TOWLINE_PARAM_text": "0",
        }
        async with room:
            for verb in verbs:
                process = await asyncio.create_subprocess_exec(
                    "bash", script, verb, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
                )
                await process.communicate()

    await asyncio.gather(*(chain(service) for service in services))
