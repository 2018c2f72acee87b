"""text/budget.py: what would cost too much is refused before it is sent."""

from __future__ import annotations

import pytest

from fishlive.errors import BudgetExceeded, ConfigError
from fishlive.text.budget import Budget


def test_text_is_refused_once_the_bytes_are_spent() -> None:
    """The last byte may be spent; one more raises, with the facts, and spends nothing."""
    budget = Budget(utf8_bytes=10)
    budget.spend(6)
    budget.spend(4)
    with pytest.raises(BudgetExceeded, match="10 spent, 1 asked, 10 allowed, in bytes") as caught:
        budget.spend(1)

    error = caught.value
    assert (error.spent, error.limit, error.asked, error.unit) == (10, 10, 1, "bytes")
    assert budget.spent_bytes == 10


def test_dollars_are_reckoned_by_the_price_of_the_model() -> None:
    """A million bytes of s2-pro cost 15 dollars; the free model nothing."""
    budget = Budget(usd=20.0)
    budget.spend(1_000_000, "s2-pro")
    budget.spend(10_000_000, "s2.1-pro-free")

    assert budget.spent_usd == pytest.approx(15.0)
    with pytest.raises(BudgetExceeded) as caught:
        budget.check(500_000, "s2.1-pro")
    assert caught.value.unit == "usd"
    budget.check(300_000, "s2.1-pro")


def test_asking_spends_nothing() -> None:
    """A check is no purchase."""
    budget = Budget(utf8_bytes=5)
    for _ in range(3):
        budget.check(5)

    assert budget.spent_bytes == 0


def test_dollars_need_a_price() -> None:
    """What nobody knows the price of is not sent on a budget in dollars."""
    with pytest.raises(ConfigError, match="drama-3-preview") as caught:
        Budget(usd=1.0).check(1, "drama-3-preview")
    assert caught.value.argument == "budget"
    Budget(utf8_bytes=1).check(1, "drama-3-preview")


@pytest.mark.parametrize(
    ("limits", "argument"),
    [
        ({}, "usd"),
        ({"usd": -1.0}, "usd"),
        ({"usd": float("nan")}, "usd"),
        ({"utf8_bytes": True}, "utf8_bytes"),
        ({"utf8_bytes": "9"}, "utf8_bytes"),
    ],
)
def test_a_budget_is_a_number_from_zero(limits: dict[str, float], argument: str) -> None:
    """The argument that is none is named."""
    with pytest.raises(ConfigError) as caught:
        Budget(**limits)  # type: ignore[arg-type]  # on purpose
    assert caught.value.argument == argument


def test_a_budget_shows_its_limits() -> None:
    """And nothing else."""
    assert repr(Budget(usd=2.5, utf8_bytes=9)) == "<fishlive.Budget of 2.5 usd, 9 bytes>"
    assert repr(Budget(utf8_bytes=9)) == "<fishlive.Budget of 9 bytes>"
