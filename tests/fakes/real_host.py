"""A host under a scratch folder with real scripts of a trivial kind, which write a line for each call.

Documents come from a folder; reports go to a folder.
"""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from desired_state.document import Artifact, Service
from desired_state.report import Report
from puller.identity import generate_keys, store_keys
from puller.paths import Paths
from puller.settings import Settings, SourceSettings, store_settings
from puller.sources.published_tree import document_path
from tests.core.publisher import HOST, note_of, trust_note
from tests.fakes.puller import LocalArtifacts, bundle_of, trivial_kind

CHECKOUT = Path(__file__).parents[2]
SCRIPT = r"""
set -eu
dir=$TOWLINE_PREFIX/services/$TOWLINE_SERVICE
mkdir -p "$dir"
config=$dir/config
say() { printf '%s %s %s %s\n' "$1" "$TOWLINE_SERVICE" "$2" "$TOWLINE_STEP" >>"$TOWLINE_PREFIX/calls"; }
begin() { say begin "$1"; sleep "${TOWLINE_PARAM_p_none:-0}"; }
end() { say end "$1"; }
digest() { printf '%s\n' "$(sha256sum <"$config" | cut -d' ' -f1)" | sha256sum | cut -d' ' -f1; }
state() { local s=absent; [[ -e $dir/state ]] && s=$(<"$dir/state"); printf '%s' "$s"; }
case $1 in
  check_status)
    now=$(state)
    printf 'state=%s\n' "$now"
    [[ -e $dir/version ]] && printf 'version=%s\n' "$(<"$dir/version")"
    [[ -e $config ]] && printf 'config=sha256:%s\nwatch=%s\n' "$(digest)" "$config"
    case $now in running) exit 0 ;; stopped) exit 7 ;; *) exit 5 ;; esac ;;
  install) begin install; printf '%s' "$TOWLINE_VERSION" >"$dir/version"; printf stopped >"$dir/state"; end install ;;
  configure)
    begin configure
    env | grep ^TOWLINE_PARAM_ | sort >"$config"
    printf 'config=sha256:%s\n' "$(digest)"
    end configure ;;
  start | restart) begin "$1"; printf running >"$dir/state"; end "$1" ;;
  stop) begin stop; printf stopped >"$dir/state"; end stop ;;
  uninstall) begin uninstall; rm -rf "$dir"; end uninstall ;;
  *) exit 3 ;;
esac
printf 'changed=1\n'
"""


AGENT_SCRIPT = SCRIPT.replace(
    "install) begin install;",
    """install) begin install; printf '%s' "$TOWLINE_VERSION" >"$dir/installed"; end install ;;
  restart)
    begin restart
    kill "$(<"$TOWLINE_PREFIX/state/lock")"
    sleep "${TOWLINE_PARAM_p_reload:-0}"
    cp "$dir/installed" "$dir/version"
    printf running >"$dir/state"
    end restart ;;
  never) begin install;""",
)
"""A kind that stands beside itself, and whose restart ends the puller, as that of the agent does."""


@dataclass
class RealHost:
    """One prefix, and the folders that its documents come from and its reports go to."""

    prefix: Path
    published: Path
    reports: Path
    bundle: Artifact
    revision: int = 0

    @property
    def paths(self) -> Paths:
        return Paths(self.prefix)

    def publish(self, *services: Service, **fields: Any) -> None:
        """Signs and publishes the next document."""
        self.revision += 1
        now = datetime.now(UTC).replace(microsecond=0)
        times = {"issued_at": now, "expires_at": now + timedelta(days=90)}
        services = tuple(sorted(services, key=lambda service: service.name))
        note = note_of(**{"revision": self.revision, "bundle": self.bundle, "services": services, **times, **fields})
        path = self.published / document_path(HOST)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(note)

    def command(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        """`towline-puller` on this host."""
        return self._python(["-m", "puller.cli", "--prefix", str(self.prefix), *arguments], environ)

    def one_pass(self, **environ: str) -> int:
        """One pass in a process of its own, with reports going to the folder; its exit code."""
        process = self.start_pass(**environ)
        _, told = process.communicate(timeout=120)
        if process.returncode not in (0, -signal.SIGKILL):
            raise AssertionError(told)
        return process.returncode

    def start_pass(self, **environ: str) -> "subprocess.Popen[str]":
        """One pass, begun."""
        return self._python(["-m", "tests.fakes.one_pass", str(self.prefix), str(self.reports)], environ)

    def calls(self) -> list[list[str]]:
        """What the script wrote: begin or end, service, verb, step."""
        file = self.prefix / "calls"
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []

    def delivered(self) -> list[Report]:
        """The reports that arrived, by number."""
        bodies = [path.read_bytes() for path in self.reports.glob("*.json")]
        return sorted((msgspec.json.decode(body, type=Report) for body in bodies), key=lambda report: report.seq)

    def _python(self, arguments: list[str], environ: dict[str, str]) -> "subprocess.Popen[str]":
        # nox says where `tests` is found, and nothing else of the checkout: then the installed puller is what runs.
        path = {"PYTHONPATH": os.environ.get("PYTHONPATH", str(CHECKOUT)), "PYTHONSAFEPATH": "1"}
        kept = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **path}
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=kept | environ,
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def real_host(folder: Path, *, script: str = SCRIPT) -> RealHost:
    """An enrolled host that never had a document."""
    paths = Paths(folder / "prefix")
    paths.state.mkdir(parents=True)
    paths.trust.write_bytes(trust_note())
    store_keys(generate_keys(), paths.keys)
    published, reports = folder / "published", folder / "reports"
    for made in (published, reports):
        made.mkdir()
    store_settings(paths, Settings(host=HOST, source=SourceSettings(type="directory", path=published)))
    scripts = {"trivialctl.sh": script, "agentctl.sh": AGENT_SCRIPT}
    kinds = (trivial_kind(), trivial_kind("agent", side_by_side=True))
    bundle = LocalArtifacts(paths.artifacts).put(bundle_of(scripts, *kinds))
    return RealHost(prefix=paths.prefix, published=published, reports=reports, bundle=bundle)
