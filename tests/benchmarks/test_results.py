"""Ratios and bars are counted right: a wrong verdict would be worse than none."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from benchmarks.plans import summary_ms
from benchmarks.results import Suite, ratio

RATIOS = [2.0, 2.0, 4.0]


def test_a_ratio_is_the_median_of_ratios_of_one_round_each() -> None:
    """A machine that slows down tenfold half way changes both numbers and not their ratio."""
    bare = [1.0, 10.0, 10.0]
    samples = {"ours": [b * r for b, r in zip(bare, RATIOS, strict=True)], "bare": bare}

    assert ratio(samples, "ours", "bare") == 2.0


def test_a_ratio_by_what_noise_made_of_nothing_is_none() -> None:
    """A short run beside a busy neighbour may seem to cost less than no time."""
    assert ratio({"ours": [1.0], "bare": [-0.1]}, "ours", "bare") is None
    assert ratio({"ours": [1.0, 4.0], "bare": [-0.1, 2.0]}, "ours", "bare") == 2.0


def test_a_ratio_with_a_client_that_was_not_run_is_none() -> None:
    """Nothing by something is not zero."""
    assert ratio({"bare": [1.0]}, "ours", "bare") is None


@pytest.mark.parametrize(("measured", "passed"), [(1.99, True), (2.01, False), (None, None)])
def test_an_upper_bound_has_three_verdicts(measured: float | None, passed: bool | None) -> None:
    """Met, missed, or not measured."""
    suite = Suite("title", ())
    suite.at_most("claim", measured, 2.0)

    assert suite.checks[0].passed is passed


def test_a_summary_is_in_milliseconds() -> None:
    """Of 0 to 99 ms the p50 is 50, the p99 and the worst 99."""
    found = summary_ms([n * 1_000_000 for n in reversed(range(100))])

    assert found == {"count": 100, "p50_ms": 50.0, "p99_ms": 99.0, "max_ms": 99.0}
