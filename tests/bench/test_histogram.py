"""Distributions: right to 0.1 %, and adding two loses nothing."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishlive.bench.histogram import Histogram, needed, supported
from fishlive.errors import ConfigError

seconds = st.floats(min_value=1e-4, max_value=600, allow_nan=False)


@given(st.lists(seconds, min_size=1, max_size=60), st.sampled_from([1.0, 50.0, 95.0, 99.0, 100.0]))
def test_a_percentile_is_the_nearest_rank(values: list[float], percentile: float) -> None:
    """It is a sample's value to three digits: the one at its rank."""
    rank = max(1, math.ceil(percentile / 100 * len(values) - 1e-9))
    expected = sorted(values)[rank - 1]
    assert Histogram(values).percentile(percentile) == pytest.approx(expected, rel=1e-3, abs=1e-6)


@settings(max_examples=40)
@given(st.lists(st.lists(seconds, max_size=20), min_size=1, max_size=4))
def test_merging_is_pooling(parts: list[list[float]]) -> None:
    """Encoded in several processes and added, they have the percentiles of all the samples."""
    merged = Histogram()
    for part in parts:
        merged.add_encoded(Histogram(part).encode())
    pooled = Histogram(value for part in parts for value in part)
    wanted = (0, 25, 50, 90, 95, 99, 99.9, 100)
    assert merged.count == pooled.count
    assert merged.percentiles(wanted) == pooled.percentiles(wanted)
    assert list(merged.cumulative()) == list(pooled.cumulative())


def test_what_cannot_be_measured_counts_as_nothing_or_an_hour() -> None:
    """A negative is 0, and two hours are one: no sample is lost."""
    histogram = Histogram([-1.0, 7200.0])
    assert histogram.count == 2
    assert histogram.percentile(0) == 0
    assert histogram.percentile(100) == pytest.approx(3600, rel=1e-3)


def test_an_empty_one_has_zeros() -> None:
    """Nothing was seen: every number is 0, and it can be encoded."""
    empty = Histogram.decode(Histogram().encode())
    assert (empty.count, empty.mean, empty.highest, empty.percentile(99)) == (0, 0, 0, 0)


@pytest.mark.parametrize("text", ["", "abc", "é", "HISTFAAAAB"])
def test_what_is_no_histogram_is_refused(text: str) -> None:
    """Whatever a file may hold in its place, the error is ours."""
    with pytest.raises(ConfigError, match="histogram"):
        Histogram.decode(text)


def test_one_of_another_layout_is_refused() -> None:
    """Two digits cannot be added to three without losing percentiles."""
    from hdrh.histogram import HdrHistogram

    other = HdrHistogram(1, 1000, 2)
    other.record_value(5)
    with pytest.raises(ConfigError, match="another layout"):
        Histogram.decode(bytes(other.encode()).decode())


@pytest.mark.parametrize(
    ("percentile", "samples"), [(50, 20), (95, 200), (99, 1000), (99.9, 10000)]
)
def test_percentiles_need_samples(percentile: float, samples: int) -> None:
    """Ten beyond it: a thousand for a p99, and one fewer is too few."""
    assert needed(percentile) == samples
    assert supported(percentile, samples)
    assert not supported(percentile, samples - 1)
