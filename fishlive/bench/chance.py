"""Whether a difference is more than chance: bootstrap of percentiles, and of shares. Pure.

The bootstrap draws samples of the same size from each side, with replacement, takes the percentile
of each and looks at how their difference spreads. Here no sample is ever drawn. The percentile of
a resample is one of the values that were measured, the one at place ``ceil(n * u)`` of ``n``, where
``u`` is the ``k``-th smallest of ``n`` uniform numbers (``k`` the percentile's own place), because
drawing with replacement is rounding uniform numbers up to places. And the ``k``-th smallest of
``n`` uniform numbers has the distribution Beta(k, n - k + 1), of which one number can be drawn in
a microsecond, whatever ``n`` is. The result is the plain bootstrap's, not an approximation of it.

What it takes for granted: utterances that do not depend on each other. It knows nothing of what
changes between two runs besides: the hour, the network, the neighbours.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from fishlive.bench.histogram import Histogram

ALPHA: Final = 0.05
"""How often chance alone may pass for a difference: one time in twenty."""

RESAMPLES: Final = 4_000
"""Resamples of an interval: 100 of them lie beyond either end of a 95 % one."""

TAIL_RESAMPLES: Final = 50
"""Least resamples beyond either end, where an interval is wider than that."""

MOST_RESAMPLES: Final = 40_000
"""Most resamples, a quarter of a second's work."""


class Sample:
    """Values of one number, ascending, each with how often it was seen.

    Args:
        values: Ascending.
        seen: For each, how many values are at most that.
    """

    __slots__ = ("_seen", "_values", "count")

    def __init__(self, values: Sequence[float], seen: Sequence[int]) -> None:
        self._values = values
        self._seen = seen
        self.count: int = seen[-1] if seen else 0

    @classmethod
    def of(cls, values: Iterable[float]) -> Sample:
        """Return a sample of raw values, in any order."""
        ordered = sorted(values)
        return cls(ordered, range(1, len(ordered) + 1))

    @classmethod
    def in_histogram(cls, histogram: Histogram) -> Sample:
        """Return a sample of what a histogram kept, to its three digits."""
        pairs = list(histogram.cumulative())
        return cls([value for value, _ in pairs], [seen for _, seen in pairs])

    def at(self, places: Iterable[int]) -> list[float]:
        """Return the values at places, from 0, in the order of size."""
        if len(self._values) == self.count:
            return [self._values[place] for place in places]
        return [self._values[bisect_right(self._seen, place)] for place in places]

    def percentile(self, percentile: float) -> float:
        """Return the value that ``percentile`` (over 0, to 100) per cent do not exceed."""
        return self.at([place_of(percentile, self.count) - 1])[0]


def place_of(percentile: float, count: int) -> int:
    """Return which value of so many is a percentile, from 1: as histograms count."""
    return max(1, math.ceil(percentile / 100 * count - 1e-9))


def can_tell(percentile: float, count: int) -> bool:
    """Return whether a percentile of so many values can be tested at all.

    With none beyond it, resamples can move it to one side only, and every fifth difference that
    is none would pass for one.
    """
    place = place_of(percentile, count) if count else 0
    return 1 < place < count


def tells_from(percentile: float) -> int:
    """Return the fewest values of which a percentile (over 0, under 100) can be tested."""
    return next(count for count in range(3, 1_000_000) if can_tell(percentile, count))


def resamples(alpha: float) -> int:
    """Return how many resamples an interval takes that is wrong so often."""
    return min(MOST_RESAMPLES, max(RESAMPLES, math.ceil(TAIL_RESAMPLES / (alpha / 2))))


@lru_cache(maxsize=64)  # most rows of a comparison are of the same sizes
def places(percentile: float, count: int, draws: int, seed: str) -> tuple[int, ...]:
    """Return the places, from 0, at which the percentiles of so many resamples lie."""
    rng = random.Random(seed)  # noqa: S311  # statistics, no secret
    place = place_of(percentile, count)
    alpha, beta = place, count - place + 1
    return tuple(min(count - 1, int(count * rng.betavariate(alpha, beta))) for _ in range(draws))


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the true difference lies, unless it was that one time in so many.

    Attributes:
        low: Lower end.
        high: Upper end.
    """

    low: float
    high: float

    @property
    def beyond_chance(self) -> bool:
        """Whether there is a difference: no end of it touches 0."""
        return self.low > 0 or self.high < 0


def difference(
    base: Sample, new: Sample, percentile: float, *, seed: int, alpha: float = ALPHA
) -> Interval | None:
    """Return the interval of the difference of a percentile, new less base.

    Args:
        base: What it was.
        new: What it is.
        percentile: Over 0 and under 100.
        seed: The same seed gives the same interval.
        alpha: How often the interval may miss.

    Returns:
        None if there are too few values.
    """
    if not (can_tell(percentile, base.count) and can_tell(percentile, new.count)):
        return None
    draws = resamples(alpha)
    before = base.at(places(percentile, base.count, draws, f"{seed} base"))
    after = new.at(places(percentile, new.count, draws, f"{seed} new"))
    moved = sorted(map(float.__sub__, after, before))
    tail = int(draws * alpha / 2)
    return Interval(moved[tail], moved[-1 - tail])


def share_grew(base: tuple[int, int], new: tuple[int, int]) -> float:
    """Return how likely chance alone makes a share grow that much: Fisher's exact test.

    Args:
        base: How many, of how many.
        new: The same.
    """
    some, total = base[0] + new[0], base[1] + new[1]
    if not base[1] or not new[1]:
        return 1.0
    most = min(some, new[1])
    ways = _log_choose(total, some)
    chances = (
        math.exp(_log_choose(new[1], count) + _log_choose(base[1], some - count) - ways)
        for count in range(new[0], most + 1)
        if some - count <= base[1]
    )
    return min(1.0, sum(chances))


def _log_choose(total: int, some: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(some + 1) - math.lgamma(total - some + 1)
