"""When utterances begin, and when there were enough of them. Pure.

In an open loop every utterance has an intended start, whatever the ones before it do, and its
latency counts from there: a server that stalls cannot hide behind a client that waits for it
(coordinated omission).
"""

from __future__ import annotations

import math
import random
from bisect import insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Final, Literal

from fishlive.errors import ConfigError

Spacing = Literal["even", "poisson"]

CONFIDENCE: Final = 0.95
"""Of the interval that ``until_ci`` speaks of."""

PERCENTILE: Final = 0.95
"""Whose interval that is."""


def intended(rate: float, spacing: Spacing, seed: int) -> Iterator[float]:
    """Yield intended starts without end, in seconds from 0, ``rate`` a second on average."""
    dice = random.Random(seed)  # noqa: S311  # not a secret, only a schedule
    if spacing == "even":
        # Not a sum: errors of floats would add up to drift.
        index = 0
        while True:
            yield index / rate
            index += 1
    at_s = 0.0
    while True:
        yield at_s
        at_s += dice.expovariate(rate)


def interval(ordered: list[float], quantile: float = PERCENTILE) -> tuple[float, float] | None:
    """Return the confidence interval of a quantile (0 to 1) of sorted samples.

    By order statistics, which assume nothing about the distribution: ranks of the binomial,
    by its normal approximation. None while there are too few samples for an upper end.
    """
    count = len(ordered)
    spread = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(
        count * quantile * (1 - quantile)
    )
    low, high = math.floor(count * quantile - spread), math.ceil(count * quantile + spread) + 1
    if low < 1 or high > count:
        return None
    return ordered[low - 1], ordered[high - 1]


@dataclass(frozen=True)
class Until:
    """When a cell is done: at the first of these.

    Attributes:
        runs: So many utterances were begun; None for no limit.
        time_s: So many seconds have passed; None for no limit.
        until_ci: The interval of the p95 is at most this fraction to either side; None for not.

    Raises:
        ConfigError: A limit that cannot be, or none at all.
    """

    runs: int | None = None
    time_s: float | None = None
    until_ci: float | None = None

    def __post_init__(self) -> None:
        """Refuse what would never end, or never begin."""
        if self.runs is not None and self.runs < 1:
            raise ConfigError("runs is at least 1", argument="runs")
        if self.time_s is not None and not 0 < self.time_s < math.inf:
            raise ConfigError("time is a number of seconds over 0", argument="time")
        if self.until_ci is not None and not 0 < self.until_ci < 1:
            raise ConfigError("until_ci is over 0 % and under 100 %", argument="until_ci")
        if self.runs is None and self.time_s is None:
            raise ConfigError(
                "until_ci alone may never end: add runs or time"
                if self.until_ci
                else "say when to stop: runs or time",
                argument="runs",
            )


@dataclass
class Meter:
    """Samples of one number in order, while they come: live percentiles, and whether to stop."""

    ordered: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        """Count a value."""
        insort(self.ordered, value)

    def percentile(self, percentile: float) -> float | None:
        """Return a percentile (0 to 100) by the nearest rank; None without any value."""
        count = len(self.ordered)
        if not count:
            return None
        rank = max(1, math.ceil(percentile / 100 * count - 1e-9))
        return self.ordered[rank - 1]

    def precision(self) -> float | None:
        """Return how far the p95 may be off, as a fraction to either side; None if unknown."""
        found, middle = interval(self.ordered), self.percentile(PERCENTILE * 100)
        if found is None or not middle:
            return None
        return max(found[1] - middle, middle - found[0]) / middle
