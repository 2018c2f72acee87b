"""Combinations of two results that met: their numbers, and how each moved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from fishlive.bench.chance import ALPHA, Interval, Sample, difference
from fishlive.bench.histogram import Histogram, supported
from fishlive.bench.matrix import varied
from fishlive.bench.metrics import METRICS, PATH, Metric, headline
from fishlive.bench.records import Cell, Combination, Record

_STEPS: Final = ("connect_s", *PATH, "gap_max_s", "rtf")
"""Where a difference is searched, besides what is always shown."""


@dataclass(frozen=True, slots=True)
class Move:
    """How one percentile of one number moved.

    Attributes:
        metric: Which number.
        percentile: Which percentile, over 0 and under 100.
        base: What it was.
        new: What it is.
        interval: Of the difference, 95 %; None if there are too few values to say.
        enough: Whether there are samples enough for that percentile on both sides.
    """

    metric: Metric
    percentile: float
    base: float
    new: float
    interval: Interval | None
    enough: bool

    @property
    def relative(self) -> float:
        """By which fraction of the base it grew."""
        return relative(self.new - self.base, self.base)

    @property
    def verdict(self) -> str:
        """``worse``, ``better``, ``chance`` or ``too few``; shortly, for a table."""
        if self.interval is None:
            return "too few"
        if not self.interval.beyond_chance:
            return "chance"
        return "worse" if self.interval.low > 0 else "better"


class Pair:
    """One combination of two results.

    Args:
        base: What it came to.
        new: What it came to later.
        records: The raw events of both; empty where there are none.
        seed: Of the bootstrap.
    """

    def __init__(
        self, base: Cell, new: Cell, records: tuple[Sequence[Record], Sequence[Record]], seed: int
    ) -> None:
        self.base: Cell = base
        self.new: Cell = new
        self._records = records
        self._seed = seed
        self._samples: dict[str, tuple[Sample, Sample]] = {}

    @property
    def combination(self) -> Combination:
        """Under which conditions."""
        return self.new.combination

    @property
    def headline(self) -> Metric:
        """The number it is judged by."""
        return headline(self.combination.transport)

    @property
    def failed(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """How many failed, of how many, in base and new."""
        return _failed(self.base), _failed(self.new)

    def samples(self, metric: Metric) -> tuple[Sample, Sample]:
        """Return the values of both: raw ones if both have them, else of the histograms."""
        if metric.name not in self._samples:
            self._samples[metric.name] = _samples(metric, (self.base, self.new), self._records)
        return self._samples[metric.name]

    def move(self, metric: Metric, percentile: float, *, alpha: float = ALPHA) -> Move | None:
        """Return how a percentile moved; None if one side has no value of it."""
        base, new = self.samples(metric)
        if not base.count or not new.count:
            return None
        return Move(
            metric,
            percentile,
            base.percentile(percentile),
            new.percentile(percentile),
            difference(base, new, percentile, seed=self._seed, alpha=alpha),
            supported(percentile, base.count) and supported(percentile, new.count),
        )

    @cached_property
    def moves(self) -> tuple[Move, ...]:
        """What is always looked at: headline and first sound, median and p95; p99 if it can be."""
        wanted = [(metric, p) for metric in (self.headline, METRICS["audible_s"]) for p in (50, 95)]
        wanted.insert(2, (self.headline, 99))
        found = (self.move(metric, percentile) for metric, percentile in wanted)
        return tuple(move for move in found if move and (move.percentile < 99 or move.enough))


@dataclass(frozen=True)
class Comparison:
    """What came of it.

    Attributes:
        pairs: Combinations that are in both, in the new one's order.
        only_base: Combinations that are only in the base.
        only_new: And only in the new one.
        warnings: Why the two may differ for another reason than the service, in sentences.
    """

    pairs: tuple[Pair, ...]
    only_base: tuple[Combination, ...]
    only_new: tuple[Combination, ...]
    warnings: tuple[str, ...]

    @property
    def axes(self) -> tuple[str, ...]:
        """In which fields the pairs differ from each other."""
        return varied([pair.combination for pair in self.pairs])

    @cached_property
    def steps(self) -> tuple[tuple[Pair, Move], ...]:
        """The steps whose medians moved beyond chance, with one error in twenty for all of them."""
        asked = [(pair, METRICS[name]) for pair in self.pairs for name in _STEPS]
        asked = [(pair, metric) for pair, metric in asked if all(counts_of(pair, metric))]
        found = ((p, p.move(m, 50, alpha=ALPHA / len(asked))) for p, m in asked)
        return tuple((p, m) for p, m in found if m and m.interval and m.interval.beyond_chance)


def place(combination: Combination, axes: Sequence[str]) -> str:
    """Return which combination of several it is, for the beginning of a line."""
    values = ", ".join(str(getattr(combination, name) or "default") for name in axes)
    return f"{values}: " if values else ""


def relative(value: float, base: float) -> float:
    """Return a difference as a fraction of the base; infinite if that is 0."""
    if base:
        return value / base
    return math.copysign(math.inf, value) if value else 0.0


def _failed(cell: Cell) -> tuple[int, int]:
    return sum(cell.failures.values()), cell.started - cell.cancelled


def counts_of(pair: Pair, metric: Metric) -> tuple[int, int]:
    """Return how many values of a number there are in base and new."""
    base, new = pair.samples(metric)
    return base.count, new.count


def _samples(
    metric: Metric, cells: tuple[Cell, Cell], records: tuple[Sequence[Record], Sequence[Record]]
) -> tuple[Sample, Sample]:
    raw = [[v for record in side for v in metric.values(record)] for side in records]
    kept = [cell.histograms.get(metric.name) for cell in cells]
    folded = [Histogram() if encoded is None else Histogram.decode(encoded) for encoded in kept]
    # Merged files may have lost some records. And both sides the same way: rounding is no change.
    if all(len(values) == found.count for values, found in zip(raw, folded, strict=True)):
        return Sample.of(raw[0]), Sample.of(raw[1])
    return Sample.in_histogram(folded[0]), Sample.in_histogram(folded[1])
