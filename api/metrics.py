"""The backend's metrics in Prometheus' text form. Labels come from closed sets: no series per host.

A registry with a label per host takes seconds a scrape at ten thousand hosts; whoever wants one host asks the API.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from api import version
from api.services.fleet import Line
from api.services.standing import Word
from api.tally import Durations, Tally
from desired_state.report import HealthWord, Sync

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_HEALTH = get_args(HealthWord)
_SYNC = get_args(Sync)
_MODE = ("enforce", "audit", "suspended")


def metrics_text(tally: Tally, lines: Iterable[Line]) -> bytes:
    """Everything: what this process counted, and where hosts stand now (the same from every replica)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families([*_of_process(tally), *_of_fleet(list(lines))]))
    return generate_latest(registry)


class _Families(Collector):
    """What was gathered already: asking the database is not a collector's business."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _of_process(tally: Tally) -> Iterator[Metric]:
    info = GaugeMetricFamily("towline_build_info", "The version that runs.", labels=["version"])
    info.add_metric([version()], 1)
    yield info
    statuses = {str(status): count for status, count in tally.polls.items()}
    yield _counted("towline_polls", "Answers to hosts that asked for their document.", "status", statuses)
    yield _counted("towline_publications", "Calls of publish by outcome.", "outcome", tally.publications)
    yield _timed("towline_publish_seconds", "Time spent publishing.", tally.publishing)
    yield CounterMetricFamily("towline_documents_issued", "Documents signed and stored.", tally.documents)
    yield _counted("towline_deliveries", "Deliveries of hosts by outcome.", "outcome", tally.deliveries)
    yield _timed("towline_ingest_seconds", "Time spent in transactions that store reports.", tally.storing)
    failing = GaugeMetricFamily("towline_target_problem", "1 while a target cannot be written.", labels=["target"])
    for target, problem in sorted(tally.target_problems.items()):
        failing.add_metric([target], int(problem))
    yield failing


def _of_fleet(lines: list[Line]) -> Iterator[Metric]:
    said = [line.facts.said for line in lines if line.facts.said is not None]
    standings = Counter[str](line.standing.word for line in lines)
    yield _gauge("towline_hosts", "Hosts by where they stand.", "standing", Word, standings)
    health = Counter[str](one.health for one in said)
    yield _gauge("towline_hosts_health", "Hosts by the health they reported.", "health", _HEALTH, health)
    sync = Counter[str](one.sync for one in said)
    yield _gauge("towline_hosts_sync", "Hosts by the sync they reported.", "sync", _SYNC, sync)
    mode = Counter[str](one.mode for one in said)
    yield _gauge("towline_hosts_mode", "Hosts by the mode they reported.", "mode", _MODE, mode)
    outstanding = sum(one.differences for one in said)
    yield GaugeMetricFamily("towline_differences", "Differences that hosts reported and not repaired yet.", outstanding)
    held = sum(bool(line.held) for line in lines)
    yield GaugeMetricFamily("towline_hosts_held", "Hosts to which a change of a cluster has not come yet.", held)
    published = sum(line.facts.published is not None for line in lines)
    yield GaugeMetricFamily("towline_documents", "Hosts that have a document.", published)


def _counted(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, count in sorted(counts.items()):
        family.add_metric([key], count)
    return family


def _gauge(name: str, text: str, label: str, words: Iterable[str], counts: Mapping[str, int]) -> Metric:
    """Each known word, also one that no host has: a series that comes and goes cannot be alerted on."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for word in words:
        family.add_metric([str(word).replace(" ", "_")], counts.get(word, 0))
    return family


def _timed(name: str, text: str, durations: Durations) -> Metric:
    return SummaryMetricFamily(name, text, count_value=durations.count, sum_value=durations.seconds)
