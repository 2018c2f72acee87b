"""When utterances begin, and when there were enough."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.bench.arrivals import Meter, Until, intended, interval
from fishlive.errors import ConfigError


def test_even_arrivals_do_not_drift() -> None:
    """The thousandth at 3 a second is due exactly after 333 seconds."""
    assert list(itertools.islice(intended(3.0, "even", 1), 1000))[-1] == 999 / 3


def test_poisson_arrivals_are_as_many_and_the_same_each_time() -> None:
    """A thousand a second on average, in an order that the seed decides."""
    first = list(itertools.islice(intended(1000.0, "poisson", 7), 5000))
    assert first == list(itertools.islice(intended(1000.0, "poisson", 7), 5000))
    assert first != list(itertools.islice(intended(1000.0, "poisson", 8), 5000))
    assert first == sorted(first)
    assert 4.5 < first[-1] < 5.5


@given(st.lists(st.floats(0, 10), min_size=1), st.sampled_from([1.0, 50.0, 95.0, 100.0]))
def test_a_meter_has_the_nearest_rank(values: list[float], percentile: float) -> None:
    """Its percentiles are those of all the samples, in whatever order they came."""
    meter = Meter()
    for value in values:
        meter.add(value)
    rank = max(1, math.ceil(percentile / 100 * len(values) - 1e-9))
    assert meter.percentile(percentile) == sorted(values)[rank - 1]


def test_an_empty_meter_knows_nothing() -> None:
    """No percentile, no precision."""
    assert (Meter().percentile(50), Meter().precision()) == (None, None)


def test_few_samples_have_no_interval() -> None:
    """Until there are samples beyond the p95, nothing can be said about it."""
    assert interval([float(n) for n in range(50)]) is None


def test_the_interval_covers_the_truth() -> None:
    """In 1,000 experiments the true p95 is inside at least 93 % of the time, as promised."""
    dice = random.Random(3)  # noqa: S311  # not a secret
    truth = -math.log(0.05)
    inside = 0
    for _ in range(1000):
        found = interval(sorted(dice.expovariate(1) for _ in range(200)))
        assert found is not None
        inside += found[0] <= truth <= found[1]
    assert inside >= 930


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"runs": 0},
        {"time_s": 0.0},
        {"time_s": math.inf},
        {"runs": 1, "until_ci": 0.0},
        {"runs": 1, "until_ci": 1.0},
        {"until_ci": 0.05},
    ],
)
def test_what_never_ends_is_refused(given: dict[str, float]) -> None:
    """No limit, a limit of nothing, and an interval that may never come are errors."""
    with pytest.raises(ConfigError):
        Until(**given)  # type: ignore[arg-type]
