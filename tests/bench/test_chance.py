"""Chance: intervals of differences that miss as seldom as they say."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import accumulate

import pytest

from fishlive.bench.chance import (
    Sample,
    can_tell,
    difference,
    place_of,
    places,
    resamples,
    share_grew,
    tells_from,
)
from fishlive.bench.histogram import Histogram

Draw = Callable[[random.Random], float]

SHAPES: dict[str, Draw] = {
    "narrow": lambda rng: rng.gauss(0.4, 0.02),
    "long tail": lambda rng: 0.3 + rng.expovariate(8),
    "two humps": lambda rng: (0.4 if rng.random() < 0.9 else 0.9) + rng.gauss(0, 0.02),
}


def sample(draw: Draw, count: int, seed: int, shift: float = 0.0) -> Sample:
    """Return values of a shape, all later by a shift."""
    rng = random.Random(seed)  # noqa: S311
    return Sample.of(draw(rng) + shift for _ in range(count))


@pytest.mark.parametrize(("percentile", "count"), [(50, 21), (95, 60), (99, 200)])
def test_the_short_way_is_the_plain_bootstrap(percentile: float, count: int) -> None:
    """A place drawn from the beta distribution comes as often as by drawing a whole resample."""
    draws = 4000
    rng = random.Random(1)  # noqa: S311
    place = place_of(percentile, count) - 1
    plain = [sorted(rng.choices(range(count), k=count))[place] for _ in range(draws)]
    quick = places(percentile, count, draws, "any")
    far = max(
        abs(one - other) / draws
        for one, other in zip(_below(plain, count), _below(quick, count), strict=True)
    )
    assert far < 1.95 * math.sqrt(2 / draws), "Kolmogorov and Smirnov, one time in a thousand"


def _below(found: list[int] | tuple[int, ...], count: int) -> list[int]:
    seen = [0] * count
    for place in found:
        seen[place] += 1
    return list(accumulate(seen))


@pytest.mark.parametrize("percentile", [50, 95])
def test_places_have_the_binomial_distribution(percentile: float) -> None:
    """The chance of a place is known without drawing: so many of so many fall at or below it."""
    count, draws = 40, 4000
    place = place_of(percentile, count)
    cumulative = _below(places(percentile, count, draws, "x"), count)
    for index in (place - 3, place - 1, min(count - 2, place)):
        share = (index + 1) / count
        exact = sum(
            math.comb(count, many) * share**many * (1 - share) ** (count - many)
            for many in range(place, count + 1)
        )
        assert cumulative[index] / draws == pytest.approx(exact, abs=0.03)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("percentile", "count"), [(50, 40), (95, 60)])
def test_no_difference_is_seldom_taken_for_one(shape: str, percentile: float, count: int) -> None:
    """Two samples of the same: at most one in twenty seems to differ, give or take luck."""
    wrong = 0
    for seed in range(200):
        pair = (sample(SHAPES[shape], count, seed), sample(SHAPES[shape], count, 1000 + seed))
        found = difference(*pair, percentile, seed=1)
        wrong += found is not None and found.beyond_chance
    assert wrong <= 200 * 0.05 + 2 * math.sqrt(200 * 0.05 * 0.95)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("percentile", "shift"), [(50, 0.1), (95, 0.6)])
def test_a_difference_is_found_and_its_size(shape: str, percentile: float, shift: float) -> None:
    """Later by so much: nearly always beyond chance, and the interval holds the shift."""
    found_it = held = 0
    for seed in range(40):
        base = sample(SHAPES[shape], 300, seed)
        new = sample(SHAPES[shape], 300, 1000 + seed, shift)
        found = difference(base, new, percentile, seed=1)
        assert found is not None
        found_it += found.low > 0
        held += found.low <= shift <= found.high
    assert found_it >= 38
    assert held >= 36


def test_the_same_seed_tells_the_same() -> None:
    """Somebody else gets the same interval; another seed gives another, near it."""
    base, new = (sample(SHAPES["narrow"], 50, seed) for seed in (1, 2))
    one, again, other = (difference(base, new, 50, seed=seed) for seed in (7, 7, 8))
    assert one == again
    assert one is not None
    assert other is not None
    assert one.low == pytest.approx(other.low, abs=0.005)


def test_a_histogram_gives_the_interval_of_its_values() -> None:
    """Files without raw events are compared as well, to three digits."""
    raw = [[random.Random(seed).gauss(0.4, 0.05) for _ in range(200)] for seed in (1, 2)]  # noqa: S311
    exact = difference(Sample.of(raw[0]), Sample.of(raw[1]), 95, seed=1)
    base, new = (Sample.in_histogram(Histogram(values)) for values in raw)
    folded = difference(base, new, 95, seed=1)
    assert exact is not None
    assert folded is not None
    assert folded.low == pytest.approx(exact.low, abs=0.001)
    assert folded.high == pytest.approx(exact.high, abs=0.001)


def test_too_few_values_say_nothing() -> None:
    """A percentile needs a value beyond it: 20 for p95, 100 for p99."""
    few, enough = (sample(SHAPES["narrow"], count, 1) for count in (19, 20))
    assert difference(few, enough, 95, seed=1) is None
    assert difference(enough, enough, 95, seed=1) is not None
    assert (tells_from(50), tells_from(95), tells_from(99)) == (3, 20, 100)
    assert not can_tell(50, 0)


def test_wider_intervals_take_more_resamples() -> None:
    """Fifty beyond either end, and never more than is done in a moment."""
    assert resamples(0.05) == 4000
    assert resamples(0.005) == 20_000
    assert resamples(1e-9) == 40_000


def test_a_grown_share_is_judged_exactly() -> None:
    """Fisher's test: hand-counted on a small table; nothing of nothing proves nothing."""
    assert share_grew((1, 4), (3, 4)) == pytest.approx((4 * 4 + 1) / 70)
    assert share_grew((0, 1000), (20, 1000)) < 1e-5
    assert share_grew((5, 100), (5, 100)) > 0.5
    assert share_grew((0, 0), (3, 3)) == 1.0
