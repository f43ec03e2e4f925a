"""A source and a sink in memory."""

from dataclasses import dataclass, field

from desired_state.report import Delivery, Receipt, Report
from puller.ports import Fetched, Unavailable, Unchanged


@dataclass
class FakeSource:
    """Has one document, and trust files by version."""

    data: bytes | None = None
    tag: str = ""
    away: bool = False
    trust: dict[int, bytes] = field(default_factory=dict)
    asked_with: list[str] = field(default_factory=list)

    def put(self, data: bytes | None) -> None:
        """From now on the source has this."""
        self.data, self.tag = data, f"tag-{hash(data)}"

    async def fetch(self, tag: str) -> Fetched | Unchanged:
        self.asked_with.append(tag)
        if self.away:
            raise Unavailable("GET https://backend.example/v1/hosts/app-1.example/document: connection refused")
        if tag and tag == self.tag:
            return Unchanged()
        return Fetched(data=self.data, tag=self.tag, origin="memory")

    async def fetch_trust(self, version: int) -> bytes | None:
        return self.trust.get(version)

    async def close(self) -> None:
        return


@dataclass
class FakeSink:
    """A backend that keeps each report once."""

    reports: dict[str, Report] = field(default_factory=dict)
    heartbeats: int = 0
    away: bool = False
    newest: int | None = None
    """What it goes by when its database was set back, or ours; None: it does not say."""

    async def deliver(self, delivery: Delivery) -> Receipt:
        if self.away:
            raise Unavailable("POST https://backend.example: connection refused", retry_after_s=None)
        self.reports |= {report.id: report for report in delivery.reports}
        self.heartbeats += delivery.heartbeat is not None
        if self.newest is not None:
            self.newest = max([self.newest, *(report.seq for report in delivery.reports)])
        return Receipt(accepted=tuple(report.id for report in delivery.reports), newest_seq=self.newest)

    async def close(self) -> None:
        return

    @property
    def last(self) -> Report:
        """The newest report by its number."""
        return max(self.reports.values(), key=lambda report: report.seq)
