"""Distributions in constant memory that add up: HDR histograms of millionths.

Needs the extra ``bench`` (the package hdrhistogram).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator
from itertools import compress
from typing import TYPE_CHECKING, Any, Final

from fishlive.errors import ConfigError

if TYPE_CHECKING:
    from hdrh.histogram import HdrHistogram

PER_UNIT: Final = 1_000_000
"""Counts are of millionths: microseconds for seconds, the clock's own grain."""

MOST: Final = 3600 * PER_UNIT
"""Largest value kept apart: an hour. Anything over counts as an hour."""

DIGITS: Final = 3
"""Significant digits of every value: 0.1 %, a twentieth of what a report must be right to."""

SAMPLES_BEYOND: Final = 10
"""A percentile needs so many samples above it to be worth its name: 1,000 for p99, 200 for p95."""

_COUNT: Final = "Q"
"""How the library keeps a count: 64 bits, of this machine's order."""

_HINT: Final = 'the benchmark needs hdrhistogram: run `pip install "fishlive[bench]"`'


def supported(percentile: float, count: int) -> bool:
    """Return whether ``count`` samples are enough for a percentile (0 to 100)."""
    # In hundredths of a per cent, because 1000 * (1 - 0.99) is less than 10 in floats.
    return count * round((100 - percentile) * 100) >= SAMPLES_BEYOND * 100 * 100


def needed(percentile: float) -> int:
    """Return the samples that a percentile (0 to 100, not 100) needs."""
    return math.ceil(SAMPLES_BEYOND * 100 * 100 / round((100 - percentile) * 100))


class Histogram:
    """How often each value was seen, to three digits. Adding two loses nothing.

    Values are seconds or ratios, from 0; below a millionth they are 0.
    """

    __slots__ = ("_hdr",)

    def __init__(self, values: Iterable[float] = ()) -> None:
        self._hdr: HdrHistogram = _new()
        self.record(values)

    @classmethod
    def decode(cls, text: str) -> Histogram:
        """Return what :meth:`encode` wrote.

        Raises:
            ConfigError: It is no histogram of this layout.
        """
        histogram = cls()
        histogram._hdr = histogram._decoded(text)
        return histogram

    @property
    def count(self) -> int:
        """How many values there are."""
        return int(self._hdr.get_total_count())

    @property
    def mean(self) -> float:
        """Their mean; 0 without any."""
        return float(self._hdr.get_mean_value()) / PER_UNIT if self.count else 0.0

    @property
    def highest(self) -> float:
        """The largest; 0 without any."""
        return float(self._hdr.get_max_value()) / PER_UNIT if self.count else 0.0

    @property
    def lowest(self) -> float:
        """The smallest; 0 without any."""
        return float(self._hdr.get_min_value()) / PER_UNIT if self.count else 0.0

    def record(self, values: Iterable[float]) -> None:
        """Count values. What cannot be (a negative, no number) counts as 0."""
        for value in values:
            scaled = value * PER_UNIT
            self._hdr.record_value(min(MOST, round(scaled)) if scaled > 0 else 0)

    def add(self, other: Histogram) -> None:
        """Count all of another one's values too."""
        self._hdr.add(other._hdr)

    def add_encoded(self, text: str) -> None:
        """Count all values of an encoded one. Raises as :meth:`decode`."""
        other = self._decoded(text)
        if other.get_total_count():
            self._hdr.add(other)

    def _decoded(self, text: str) -> HdrHistogram:
        from hdrh.codec import HdrCookieException, HdrHistogramSettingsException, HdrLengthException

        broken = (HdrCookieException, HdrHistogramSettingsException, HdrLengthException, zlib.error)
        try:
            other = type(self._hdr).decode(text.encode("ascii"))
        except (*broken, ArithmeticError, IndexError, ValueError, TypeError) as error:
            raise ConfigError("not an HDR histogram", argument="histograms") from error
        if _layout(other) != _layout(self._hdr):
            raise ConfigError("a histogram of another layout", argument="histograms")
        return other

    def percentile(self, percentile: float) -> float:
        """Return the value that ``percentile`` (0 to 100) per cent do not exceed; 0 without any."""
        return self.percentiles((percentile,))[0]

    def percentiles(self, wanted: Iterable[float]) -> tuple[float, ...]:
        """Return several percentiles (0 to 100) in one walk; each is 0 without any value."""
        asked = tuple(wanted)
        if not self.count:
            return tuple(0.0 for _ in asked)
        found: dict[float, float] = {}
        left = sorted(set(asked))
        for value, seen in self.cumulative():
            while left and seen >= max(1, math.ceil(left[0] / 100 * self.count - 1e-9)):
                found[left.pop(0)] = value
        return tuple(found[percentile] for percentile in asked)

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Yield each value that was seen and how many are at most that, ascending: a curve."""
        # The library's own iterator computes every bucket's bounds twice: 60 ms a walk. And its
        # array gives numbers out one by one, which takes 20 ms; as memory it takes half of one.
        hdr, total = self._hdr, 0
        counts = memoryview(hdr.counts).cast("B").cast(_COUNT).tolist()
        for index in compress(range(len(counts)), counts):
            total += counts[index]
            value = hdr.get_highest_equivalent_value(hdr.get_value_from_index(index))
            yield value / PER_UNIT, total

    def encode(self) -> str:
        """Return it as text: the V2 format, compressed, base64, as other HDR libraries read it."""
        return bytes(self._hdr.encode()).decode("ascii")


def _new() -> Any:
    try:
        from hdrh.histogram import HdrHistogram
    except ModuleNotFoundError as error:
        raise ConfigError(_HINT) from error
    return HdrHistogram(1, MOST, DIGITS)


def _layout(hdr: Any) -> tuple[int, int, int]:
    return hdr.lowest_trackable_value, hdr.highest_trackable_value, hdr.significant_figures
