"""What node exporter's textfile collector shows of this host: the VM opens no port of its own for it.

Labels come from closed sets only, so the number of series never grows. docs/metrics.md lists every metric.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, get_args

import structlog
from msgspec import Struct

from desired_state.contract import Verb
from desired_state.document import Mode
from desired_state.names import Timestamp
from desired_state.report import ConditionType, HealthWord, Status, StepOutcome, StepResult, Sync, Truth

FILE = "towline.prom"
Result = Literal["changed", "unchanged", "failed"]
"""How a pass ended: it took steps; there was nothing to do; a step failed."""

_log = structlog.get_logger("towline.metrics")


class PassNumbers(Struct, frozen=True, kw_only=True):
    """What is told of one pass beside its status."""

    at: Timestamp
    duration_s: float
    results: tuple[StepResult, ...] = ()
    outbox: int = 0
    """Reports that wait for the backend."""
    document_expires_at: Timestamp | None = None


class Sample(Struct, frozen=True):
    """One line: the labels in the order in which they are written."""

    value: float
    labels: tuple[tuple[str, str], ...] = ()


class Metric(Struct, frozen=True):
    """One metric with all its samples."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    samples: tuple[Sample, ...]


class Metrics:
    """Counts since the puller's start, and writes the file after each pass."""

    def __init__(self, folder: Path, *, agent_version: str = "") -> None:
        self._path = folder / FILE
        self._temporary = folder / f".{FILE}.tmp"
        self._agent_version = agent_version
        self._passes: Counter[Result] = Counter()
        self._steps: Counter[tuple[Verb, StepOutcome]] = Counter()
        self._last_success_s = 0.0
        self._warned = False

    def observe(self, status: Status, numbers: PassNumbers) -> None:
        """Counts a pass and writes the file. A folder that cannot be written is logged once, and stops nothing."""
        self._passes[_result(numbers)] += 1
        self._steps.update((result.verb, result.outcome) for result in numbers.results)
        if any(condition.type == "Ready" and condition.status == "True" for condition in status.conditions):
            self._last_success_s = numbers.at.timestamp()
        try:
            # Whole, but not synced: what is true a minute from now need not survive a loss of power.
            self._temporary.write_text(text_of(self._metrics(status, numbers)))
            self._temporary.chmod(0o644)
            self._temporary.replace(self._path)
        except OSError as error:
            if not self._warned:
                _log.warning("metrics cannot be written", file=str(self._path), reason=os.strerror(error.errno or 0))
            self._warned = True
        else:
            self._warned = False

    def _metrics(self, status: Status, numbers: PassNumbers) -> Iterator[Metric]:
        yield from self._of_passes(numbers)
        yield from _of_revisions(status, numbers)
        yield from _of_states(status)
        yield _gauge("outbox_reports", "Reports that wait for the backend.", numbers.outbox)
        counts = {(verb, outcome): self._steps[verb, outcome] for verb in Verb for outcome in get_args(StepOutcome)}
        yield Metric(
            "steps_total",
            "counter",
            "Steps since the puller's start, by verb and outcome.",
            tuple(
                Sample(number, (("verb", verb.value), ("outcome", outcome)))
                for (verb, outcome), number in counts.items()
                if number
            ),
        )

    def _of_passes(self, numbers: PassNumbers) -> Iterator[Metric]:
        version = (("version", self._agent_version),)
        yield Metric("info", "gauge", "The puller's version, as a label; always 1.", (Sample(1, version),))
        yield _gauge("last_pass_timestamp_seconds", "When the last pass ended.", numbers.at.timestamp())
        yield _gauge(
            "last_success_timestamp_seconds",
            "When a pass last ended with the host ready; 0: not since the puller's start.",
            self._last_success_s,
        )
        yield _gauge("last_pass_duration_seconds", "How long the last pass took.", numbers.duration_s)
        yield Metric(
            "passes_total",
            "counter",
            "Passes since the puller's start, by how they ended.",
            tuple(Sample(self._passes[result], (("result", result),)) for result in get_args(Result)),
        )


def text_of(metrics: Iterable[Metric]) -> str:
    """The text exposition format (version 0.0.4), without timestamps: the collector refuses those."""
    lines = []
    for metric in metrics:
        name = f"towline_puller_{metric.name}"
        lines += [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind}"]
        lines += [f"{name}{_labels(sample.labels)} {_number(sample.value)}" for sample in metric.samples]
    return "\n".join(lines) + "\n"


def _of_revisions(status: Status, numbers: PassNumbers) -> Iterator[Metric]:
    expires = numbers.document_expires_at
    yield _gauge("accepted_epoch", "The epoch of the newest accepted document; 0: none.", status.accepted_epoch)
    yield _gauge("accepted_revision", "The highest revision ever accepted; 0: none.", status.accepted_revision)
    yield _gauge("applied_revision", "The revision reached and verified by looking; 0: none.", status.applied_revision)
    yield _gauge(
        "document_expires_timestamp_seconds",
        "When the document in force expires; 0: there is none.",
        expires.timestamp() if expires else 0,
    )


def _of_states(status: Status) -> Iterator[Metric]:
    yield _one_of("sync", "Whether the host has the newest document; 1 for the word that holds.", Sync, status.sync)
    yield _one_of("health", "How its services are; 1 for the word that holds.", HealthWord, status.health)
    yield _one_of("mode", "What the puller may do; 1 for the word that holds.", Mode, status.mode)
    held = {(condition.type, condition.status) for condition in status.conditions}
    yield Metric(
        "condition",
        "gauge",
        "The host's conditions; 1 for the status that holds.",
        tuple(
            Sample((kind, truth) in held, (("type", kind), ("status", truth)))
            for kind in get_args(ConditionType)
            for truth in get_args(Truth)
        ),
    )
    health = Counter(service.health for service in status.services)
    yield Metric(
        "services",
        "gauge",
        "Services by health.",
        tuple(Sample(health[word], (("health", word),)) for word in get_args(HealthWord)),
    )
    outstanding = sum(bool(service.changes) for service in status.services)
    yield _gauge("services_with_changes", "Services that differ from the document after the pass.", outstanding)
    yield _gauge("held_steps", "Steps that wait for a person.", len(status.held))


def _result(numbers: PassNumbers) -> Result:
    if any(result.outcome == "failed" for result in numbers.results):
        return "failed"
    return "changed" if numbers.results else "unchanged"


def _gauge(name: str, text: str, value: float | None) -> Metric:
    return Metric(name, "gauge", text, (Sample(value or 0),))


def _one_of(name: str, text: str, words: object, current: str) -> Metric:
    return Metric(name, "gauge", text, tuple(Sample(word == current, (("state", word),)) for word in get_args(words)))


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(round(value, 6))
