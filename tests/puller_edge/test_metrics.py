"""The textfile that node exporter shows."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from desired_state.change import Change
from desired_state.contract import Verb
from desired_state.names import digest_of
from desired_state.report import Condition, ServiceStatus, Status, StepResult
from desired_state.step import Held
from puller.metrics import FILE, Metrics, PassNumbers
from tests.fakes.puller import FakePuller, on_a_host, running

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
READY = Condition(type="Ready", status="True", reason="Converged", message="", since=NOW)
STATUS = Status(
    host="web-1",
    sync="synced",
    health="healthy",
    mode="enforce",
    accepted_epoch=1,
    accepted_revision=7,
    applied_revision=6,
    conditions=(READY,),
    services=(
        ServiceStatus(name="cache", kind="redis", health="healthy"),
        ServiceStatus(
            name="orders",
            kind="java",
            health="degraded",
            changes=(Change(service="orders", aspect="version", intent="intended", reason="newer"),),
        ),
    ),
    held=(Held(service="orders", verb=Verb.UNINSTALL, reason="too many removals"),),
)
NUMBERS = PassNumbers(at=NOW, duration_s=0.25, outbox=3, document_expires_at=NOW + timedelta(days=1))
DONE = StepResult(id=digest_of(b"1"), service="cache", verb=Verb.START, intent="intended", outcome="done")


def samples(folder: Path) -> dict[str, float]:
    """Every line that is no 0, read by Prometheus's own parser."""
    families = text_string_to_metric_families((folder / FILE).read_text())
    found = {}
    for family in families:
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
            found[sample.name.removeprefix("towline_puller_") + (f"{{{labels}}}" if labels else "")] = sample.value
    return {name: value for name, value in found.items() if value}


def test_what_a_pass_says(tmp_path: Path) -> None:
    """Status and numbers of one pass, as Prometheus reads them."""
    Metrics(tmp_path, agent_version='1.0"\\').observe(STATUS, replace(NUMBERS, results=(DONE,)))
    assert {
        'info{version=1.0"\\}': 1,
        "last_pass_timestamp_seconds": NOW.timestamp(),
        "last_success_timestamp_seconds": NOW.timestamp(),
        "last_pass_duration_seconds": 0.25,
        "passes_total{result=changed}": 1,
        "accepted_epoch": 1,
        "accepted_revision": 7,
        "applied_revision": 6,
        "document_expires_timestamp_seconds": NOW.timestamp() + 86400,
        "sync{state=synced}": 1,
        "health{state=healthy}": 1,
        "mode{state=enforce}": 1,
        "condition{type=Ready,status=True}": 1,
        "services{health=healthy}": 1,
        "services{health=degraded}": 1,
        "services_with_changes": 1,
        "held_steps": 1,
        "outbox_reports": 3,
        "steps_total{verb=start,outcome=done}": 1,
    } == samples(tmp_path)


def test_counters_grow(tmp_path: Path) -> None:
    """Passes and steps are counted since the start; success is remembered when a later pass is not ready."""
    metrics = Metrics(tmp_path)
    metrics.observe(STATUS, NUMBERS)
    later = replace(NUMBERS, at=NOW + timedelta(minutes=1), results=(DONE, replace(DONE, outcome="failed")))
    metrics.observe(replace(STATUS, conditions=(replace(READY, status="False"),)), later)
    metrics.observe(replace(STATUS, conditions=()), replace(later, results=()))
    found = samples(tmp_path)
    assert (2, 1, 1, 1) == (
        found["passes_total{result=unchanged}"],
        found["passes_total{result=failed}"],
        found["steps_total{verb=start,outcome=done}"],
        found["steps_total{verb=start,outcome=failed}"],
    )
    assert NOW.timestamp() == found["last_success_timestamp_seconds"]


def test_host_without_a_document(tmp_path: Path) -> None:
    """Nothing known is 0, not missing: an alert can rely on the series."""
    Metrics(tmp_path).observe(
        Status(host="web-1", sync="unknown", health="unknown", mode="enforce"),
        PassNumbers(at=NOW, duration_s=1),
    )
    assert "towline_puller_applied_revision 0\n" in (tmp_path / FILE).read_text()


def test_series_are_bounded(tmp_path: Path) -> None:
    """A thousand services make no more series than one."""
    metrics = Metrics(tmp_path)
    metrics.observe(STATUS, NUMBERS)
    before = len((tmp_path / FILE).read_text().splitlines())
    many = tuple(ServiceStatus(name=f"s{number}", kind="redis") for number in range(1000))
    metrics.observe(replace(STATUS, services=many), NUMBERS)
    assert before == len((tmp_path / FILE).read_text().splitlines())


def test_file_is_replaced_whole_and_readable(tmp_path: Path) -> None:
    """node exporter runs as another user and may read at any moment: one file, never half."""
    metrics = Metrics(tmp_path)
    metrics.observe(STATUS, NUMBERS)
    old = (tmp_path / FILE).open()
    text = old.read()
    metrics.observe(STATUS, NUMBERS)
    old.seek(0)
    assert (text, [FILE], 0o644) == (
        old.read(),
        [path.name for path in tmp_path.iterdir()],
        (tmp_path / FILE).stat().st_mode & 0o777,
    )
    old.close()


def test_folder_that_is_away_stops_nothing(tmp_path: Path) -> None:
    """The pass goes on without metrics, and with them once the folder is there."""
    metrics = Metrics(tmp_path / "later")
    metrics.observe(STATUS, NUMBERS)
    (tmp_path / "later").mkdir()
    metrics.observe(STATUS, NUMBERS)
    assert 2 == samples(tmp_path / "later")["passes_total{result=unchanged}"]


@pytest.mark.parametrize("direction", ["written", "documented"])
def test_every_metric_is_documented(tmp_path: Path, direction: str) -> None:
    """docs/metrics.md names exactly the metrics that are written."""
    Metrics(tmp_path).observe(STATUS, replace(NUMBERS, results=(DONE,)))
    written = set(re.findall(r"^# TYPE (\S+)", (tmp_path / FILE).read_text(), re.MULTILINE))
    page = (Path(__file__).parents[2] / "docs/metrics.md").read_text()
    documented = set(re.findall(r"`(towline_puller_[a-z_]+)", page))
    assert set() == (written - documented if direction == "written" else documented - written)


def test_each_pass_is_shown(tmp_path: Path) -> None:
    """A real pass, with a document and steps, ends with the file written."""

    async def story(puller: FakePuller) -> None:
        reconciler = puller.reconciler
        reconciler._parts = replace(reconciler._parts, metrics=Metrics(tmp_path))
        puller.publish(running("one"))
        await puller.run_pass()

    on_a_host(tmp_path / "host", story)
    found = samples(tmp_path)
    assert (1, 1, 3, 1) == (
        found["accepted_revision"],
        found["applied_revision"],
        sum(value for name, value in found.items() if name.startswith("steps_total")),
        found["passes_total{result=changed}"],
    )
