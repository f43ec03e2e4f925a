"""Plans as people read them. Each folder of `plans/` is a case: what is published, what hosts reported, a working tree.

Write the expected files anew with TOWLINE_WRITE_PLANS=1 and read their difference.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

from api.as_code.catalogue_files import read_catalogue
from api.plans.fleet_plan import FleetPlan, HeldSecrets, Known, plan_fleet
from api.plans.plan_text import as_markdown, as_text
from desired_state.contract import KindMeta
from desired_state.document import Artifact, Document, Origin
from desired_state.observed import Observation, Seen
from desired_state.parameters import with_defaults
from desired_state.problems import problems
from desired_state.record import Recorded
from desired_state.render import content_digest, issue, render
from desired_state.report import ServiceStatus, Status

FOLDER = Path(__file__).parent / "plans"
CASES = sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir())
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
BUNDLE = Artifact(digest="sha256:" + "c" * 64, size=1, file="scripts.tar")
CONFIG = "sha256:" + "d" * 64
VERBS = {
    verb: {"timeout_s": 60}
    for verb in ("check_status", "install", "configure", "start", "stop", "restart", "reload", "uninstall", "purge")
}
KINDS = msgspec.convert(
    {
        "redis": {
            "schema": "towline.meta/1",
            "kind": "redis",
            "holds_data": True,
            "parameters": [
                {"name": "port", "type": "port", "default": "6379"},
                {"name": "maxmemory", "type": "size", "default": "256mb", "effect": "reload"},
            ],
            "packages": [{"role": "server"}],
            "ports": ["port"],
            "verbs": VERBS,
        },
        "quorum": {
            "schema": "towline.meta/1",
            "kind": "quorum",
            "parameters": [
                {"name": "port", "type": "port", "default": "2181"},
                {"name": "peers", "type": "string"},
                {"name": "leader", "type": "peer"},
            ],
            "cluster": [
                {"parameter": "peers", "from": "members", "form": "{id}@{address}:{port}"},
                {"parameter": "leader", "from": "primary", "form": "{address}:{port}"},
            ],
            "verbs": VERBS,
        },
        "app": {
            "schema": "towline.meta/1",
            "kind": "app",
            "parameters": [
                {"name": "workers", "type": "int", "default": "4"},
                {"name": "motd", "type": "text", "default": ""},
            ],
            "verbs": VERBS,
        },
    },
    dict[str, KindMeta],
)


class Host(Struct, frozen=True, forbid_unknown_fields=True):
    """What a host of a case reported: everything applied, but for what is said here."""

    seen: dict[str, Seen] = {}
    silent_s: int = 0


def files_of(folder: Path) -> dict[str, bytes]:
    """A working tree."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def status_of(document: Document, host: Host) -> Status:
    """What a host says that applied its document."""
    services = []
    for service in document.services:
        recorded = Recorded(
            name=service.name,
            kind=service.kind,
            version=service.version,
            state=service.state,
            parameters=with_defaults(service.parameters, KINDS[service.kind]),
            packages={role: package.digest for role, package in service.packages.items()},
            config=CONFIG,
            holds_data=KINDS[service.kind].holds_data,
        )
        state = host.seen.get(service.name, "running")
        seen = Observation(service=service.name, state=state, seen_at=NOW, version=service.version, config=CONFIG)
        services.append(
            ServiceStatus(
                name=service.name,
                kind=service.kind,
                health="healthy" if state == "running" else "unhealthy",
                recorded=recorded,
                observation=seen,
            )
        )
    return Status(
        host=document.host,
        sync="synced",
        health="healthy",
        mode="enforce",
        applied_revision=document.revision,
        services=tuple(services),
    )


def known_of(case: Path) -> dict[str, Known]:
    """What the backend knows: everything of the case's `published` is published under revision 4."""
    published = read_catalogue(files_of(case / "published")).catalogue
    reported = msgspec.json.decode((case / "hosts.json").read_bytes(), type=dict[str, Host])
    known = {}
    for entry in published.hosts:
        content = render(
            published, entry, kinds=KINDS, bundle=BUNDLE, artifact_bases=(), origin=Origin(change="before")
        )
        document = issue(content, epoch=1, revision=4, issued_at=NOW, expires_at=NOW + timedelta(days=90))
        host = reported.get(entry.host)
        known[entry.host] = Known(
            document=document,
            content_digest=content_digest(content),
            status=status_of(document, host) if host else None,
            seen_at=NOW - timedelta(seconds=host.silent_s) if host else None,
        )
    return known


def plan_of(case: Path) -> FleetPlan:
    """The plan of the case's `tree`."""
    read = read_catalogue(files_of(case / "tree"))
    found = read.problems or tuple(read.located(problem) for problem in problems(read.catalogue, KINDS))
    if any(problem.severity == "error" for problem in found):
        return FleetPlan(problems=found)
    made = plan_fleet(read.catalogue, KINDS, known_of(case), {}, secrets=HeldSecrets(), now=NOW)
    return msgspec.structs.replace(made, problems=found)


def shown(plan: FleetPlan, form: str) -> str:
    """The plan as text, Markdown or JSON."""
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(plan), indent=2).decode() + "\n"
    return as_text(plan) if form == "txt" else as_markdown(plan)


@pytest.mark.parametrize("form", ["txt", "md", "json"])
@pytest.mark.parametrize("case", CASES)
def test_a_plan_reads_as_expected(case: str, form: str) -> None:
    """Byte for byte what lies beside the case."""
    found = shown(plan_of(FOLDER / case), form)
    expected = FOLDER / case / f"plan.{form}"
    if os.environ.get("TOWLINE_WRITE_PLANS") == "1":
        expected.write_text(found, encoding="utf-8")
    assert expected.read_text(encoding="utf-8") == found
