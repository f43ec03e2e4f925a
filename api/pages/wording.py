"""How values read on the page: times, lengths, digests. Pure; used as filters of the templates."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from urllib.parse import urlencode

from api.pages.events import link_to
from api.services.fleet import Asked, Count
from api.services.runs import RunLine
from api.services.standing import length
from desired_state.parameters import as_text
from desired_state.report import Condition

STRIP_RUNS = 50
STRIP_HEIGHT = 36


def ago(at: datetime, now: datetime) -> str:
    """How long ago, in words: what page.js goes on ticking."""
    seconds = round((now - at).total_seconds())
    if abs(seconds) < 2:
        return "just now"
    return f"{length(seconds)} ago" if seconds > 0 else f"in {length(seconds)}"


def exact(at: datetime) -> str:
    """The moment itself, for people."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def machine(at: datetime) -> str:
    """The moment itself, for the `datetime` attribute."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def short(value: str) -> str:
    """A digest or commit id by its beginning; the page shows the whole of it where one points at it."""
    bare = value.removeprefix("sha256:")
    return bare[:12] if len(bare) > 20 and " " not in bare else bare


def name(author: str) -> str:
    """A person without the mail address that git puts behind the name."""
    bare = author.partition(" <")[0].strip().removeprefix("token:")
    return bare or author or "nobody named"


def millis(value: int) -> str:
    """A duration given in milliseconds."""
    if value < 1000:
        return f"{value} ms"
    return f"{value / 1000:.1f} s" if value < 60_000 else length(value // 1000)


def told(counts: Iterable[Count]) -> str:
    """All counts in one sentence, for those who listen."""
    said = [f"{count.hosts} {count.word.value}" for count in counts if count.hosts]
    return ", ".join(said) or "no hosts"


def shares(counts: Sequence[Count]) -> list[tuple[float, float, str]]:
    """Counts as pieces of a bar that is 1000 wide: where each begins, how wide it is, and its shape."""
    total = sum(count.hosts for count in counts)
    pieces, start = [], 0.0
    for count in counts:
        if count.hosts:
            width = 1000 * count.hosts / total
            # A gap of 3 keeps neighbours apart without colour; at the end there is none.
            gap = 3 if start + width < 999 else 0
            pieces.append((round(start, 1), round(max(width - gap, 2), 1), count.shape))
            start += width
    return pieces


def bars(runs: Sequence[RunLine]) -> list[tuple[float, float, float, str, str]]:
    """Runs as bars, oldest first: x, y, height by the root of the duration, shape, and a title."""
    shown = list(reversed(runs[:STRIP_RUNS]))
    longest = max((line.run.duration_ms for line in shown), default=1) or 1
    found = []
    for index, line in enumerate(shown):
        height = round(8 + (STRIP_HEIGHT - 8) * (line.run.duration_ms / longest) ** 0.5, 1)
        title = f"{exact(line.run.started_at)}: {line.summary}, {millis(line.run.duration_ms)}"
        found.append(
            (index * 16.0, round(STRIP_HEIGHT - height, 1), height, "failed" if line.failed else "done", title)
        )
    return found


def runs_told(runs: Sequence[RunLine]) -> str:
    """The strip of runs in words."""
    failed = sum(line.failed for line in runs)
    return f"{len(runs)} runs, {failed} failed" if runs else "no runs"


def query(asked: Asked, **other: str) -> str:
    """The query string of a list, with something else in it."""
    values = {"standing": asked.standing, "q": asked.q, "after": asked.after} | other
    return urlencode({name: value for name, value in values.items() if value})


def condition_shape(condition: Condition) -> str:
    """The icon of a condition. Only Ready is good when it is true."""
    if condition.status == "Unknown":
        return "unknown"
    if condition.type == "Ready":
        return "converged" if condition.status == "True" else "unhealthy"
    shapes = {"Reconciling": "converging", "Stalled": "failed", "Suspended": "suspended", "Stale": "stale"}
    return shapes[condition.type] if condition.status == "True" else "no"


FILTERS = {
    "condition_shape": condition_shape,
    "ago": ago,
    "exact": exact,
    "machine": machine,
    "short": short,
    "name": name,
    "millis": millis,
    "length_s": length,
    "told": told,
    "shares": shares,
    "bars": bars,
    "runs_told": runs_told,
    "query": query,
    "value": as_text,
    "link_to": link_to,
}
