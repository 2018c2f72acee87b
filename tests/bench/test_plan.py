"""What is decided before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from fishlive.bench.cost import Budget, price_usd
from fishlive.bench.runner import Runner
from fishlive.errors import ConfigError
from tests.bench.runs import plan
from tests.bench.virtual import Delays, LateService, run


@pytest.mark.parametrize(
    ("given", "argument"),
    [
        ({"warmup": -1}, "warmup"),
        ({"budget_usd": -0.1}, "budget"),
        ({"timeout_s": 0.0}, "timeout"),
        ({"max_in_flight": 0}, "max_in_flight"),
        ({"spacing": "odd"}, "arrivals"),
        ({"prebuffers_s": (-1.0,)}, "prebuffer"),
        ({"matrix": {"stream": ("recorded",)}}, "stream"),
    ],
)
def test_a_wrong_plan_names_its_argument(given: Any, argument: str) -> None:
    """Before a single text is paid for."""
    with pytest.raises(ConfigError) as caught:
        plan(**given)
    assert caught.value.argument == argument


def test_a_request_that_cannot_be_is_refused_first() -> None:
    """A format that the service does not make fails before the first connection."""

    async def work() -> None:
        late = LateService(Delays())
        what = plan(matrix={"voice": ("",), "model": ("s1",)})
        with pytest.raises(ConfigError):
            Runner(what, late.service, measure_overhead=False)

    run(work)


def test_one_for_each_at_once_warms_up() -> None:
    """Unless told; an open loop has one."""
    what = plan(warmup=None, matrix={"concurrency": (5,), "rate": (2.0,)})
    combinations, _ = what.matrix.combinations()
    assert [what.warmup_of(c) for c in combinations] == [5, 1]


def test_bytes_are_what_costs() -> None:
    """$15 a million; the free model is free."""
    assert price_usd(1_000_000, "s2-pro") == pytest.approx(15.0)
    assert price_usd(1_000_000, "s2.1-pro-free") == 0


def test_what_it_may_cost_is_known() -> None:
    """By the longest text, warm-up too, and never over the budget."""
    what = plan(runs=9, warmup=1)
    combinations, _ = what.matrix.combinations()
    assert what.most_usd(combinations) == pytest.approx(10 * 13 * 15e-6)
    assert plan(runs=9, budget_usd=0.001).most_usd(combinations) == 0.001
    assert plan(runs=None, time_s=9).most_usd(combinations) is None


def test_a_budget_says_no_without_spending() -> None:
    """What does not fit leaves room for what does."""
    budget = Budget(1.0)
    assert [budget.take(cost) for cost in (0.6, 0.6, 0.4)] == [True, False, True]
    assert budget.spent_usd == pytest.approx(1.0)


def test_a_budget_for_nothing_is_refused() -> None:
    """Not even the shortest text fits in; a model that costs nothing does."""
    with pytest.raises(ConfigError, match="allows no utterance"):
        plan(budget_usd=0.0)
    assert plan(budget_usd=0.0, matrix={"model": ("s2.1-pro-free",)}).budget_usd == 0
