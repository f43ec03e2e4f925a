"""One figure beside its reference, and how both are shown."""

import json
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What a figure should reach; about the value, or about its ratio to the reference."""

    at_most: float | None = None
    at_least: float | None = None
    of: str = "value"

    def is_met(self, measurement: "Measurement") -> bool:
        """Whether the measured figure is within the aim."""
        figure = measurement.ratio if self.of == "ratio" else measurement.value
        return (self.at_most is None or figure <= self.at_most) and (self.at_least is None or figure >= self.at_least)

    def text(self, unit: str) -> str:
        """The aim as a person writes it: ≤ 30 ms, ≥ 0.28 ×."""
        bound = f"≤ {self.at_most:g}" if self.at_most is not None else f"≥ {self.at_least:g}"
        return f"{bound} {'×' if self.of == 'ratio' else unit}"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One figure: value and reference in the same unit."""

    name: str
    value: float
    unit: str
    reference: float
    reference_name: str
    aim: Aim | None = None

    @property
    def ratio(self) -> float:
        """Value over reference."""
        return self.value / self.reference

    def as_json(self) -> str:
        """One line of JSON."""
        figures = {"value": self.value, "reference": self.reference, "ratio": self.ratio}
        shown = {key: float(f"{figure:.4g}") for key, figure in figures.items()}
        return json.dumps({"name": self.name, "unit": self.unit, **shown}, ensure_ascii=False)


def table(measurements: Iterable[Measurement]) -> str:
    """All figures for people, a row each."""
    rows = [("", "value", "reference", "ratio", "aim", "")]
    for one in measurements:
        met = "" if one.aim is None else ("reached" if one.aim.is_met(one) else "MISSED")
        aim = "" if one.aim is None else one.aim.text(one.unit)
        reference = f"{_short(one.reference)} {one.unit} ({one.reference_name})"
        rows.append((one.name, f"{_short(one.value)} {one.unit}", reference, f"{one.ratio:.2f}", aim, met))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def best_time_s(action: Callable[[], object], *, times: int) -> float:
    """The shortest of some runs, in seconds: what the machine's other work adds is not ours."""
    return min(_time_s(action) for _ in range(times))


def side_by_side_s(action: Callable[[], object], reference: Callable[[], object], *, times: int) -> tuple[float, float]:
    """Median seconds of both, taken in turns, so that a busy minute of the machine meets both."""
    pairs = [(_time_s(action), _time_s(reference)) for _ in range(times)]
    return statistics.median(one for one, _ in pairs), statistics.median(other for _, other in pairs)


def _time_s(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _short(figure: float) -> str:
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.3g}"
