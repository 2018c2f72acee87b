"""flow/capacity.py: the smallest number named holds, and a refusal is not for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishlive.errors import ConfigError
from fishlive.flow.capacity import GROW_AFTER, LIMIT_HEADER, MAX_LIMIT, Capacity, limit_of


def test_nobody_has_named_a_limit() -> None:
    """Until then any number may run."""
    assert Capacity().limit is None
    assert Capacity().admits(10**6)


def test_a_limit_is_exact() -> None:
    """One under it is admitted, at it nobody is."""
    assert Capacity(5).admits(4)
    assert not Capacity(5).admits(5)


@pytest.mark.parametrize("limit", [0, -1, MAX_LIMIT + 1, 2.0, True, "5", float("nan")])
def test_an_argument_that_is_no_limit_is_refused(limit: object) -> None:
    """What the caller typed is checked, and named."""
    with pytest.raises(ConfigError) as caught:
        Capacity(limit)  # type: ignore[arg-type]  # that is the test
    assert caught.value.argument == "concurrency"


@pytest.mark.parametrize("limit", [0, -1, MAX_LIMIT + 1, 2.0, True, "5", None, [5]])
def test_a_limit_of_the_service_that_is_none_is_ignored(limit: object) -> None:
    """What the service says is not believed blindly."""
    capacity = Capacity()
    capacity.learn(5)
    capacity.learn(limit)
    assert capacity.limit == 5


def test_the_smaller_of_argument_and_service_holds() -> None:
    """The service cannot raise the caller's limit, nor the caller the service's."""
    capacity = Capacity(8)
    capacity.learn(15)
    assert capacity.limit == 8
    capacity.learn(5)
    assert capacity.limit == 5


def test_the_service_may_raise_its_own_limit() -> None:
    """A top-up unlocks the next tier while we run."""
    capacity = Capacity()
    capacity.learn(5)
    capacity.learn(15)
    assert capacity.limit == 15


def test_of_several_arguments_the_smallest_holds() -> None:
    """Sessions that share an account cannot undo each other's caution."""
    capacity = Capacity(8)
    capacity.tell(3)
    capacity.tell(50)
    assert capacity.limit == 3


def test_a_refusal_leaves_what_ran_besides() -> None:
    """Others hold the rest of the account's slots."""
    capacity = Capacity(5)
    capacity.refused(others=3)
    assert capacity.limit == 3


def test_a_second_refusal_gives_nothing_back() -> None:
    """What still ran from before the first one is no sign of room."""
    capacity = Capacity(9)
    capacity.refused(others=2)
    capacity.refused(others=6)
    assert capacity.limit == 2


def test_a_refusal_leaves_one_at_least() -> None:
    """With nothing running, one is tried all the same: somebody has to find out."""
    capacity = Capacity()
    capacity.refused(others=0)
    assert capacity.limit == 1


def test_a_refusal_that_the_limit_explains_takes_nothing_else() -> None:
    """Too many of our own were running, and the service has named the limit."""
    capacity = Capacity()
    capacity.learn(5)
    capacity.refused(others=7)
    assert capacity.limit == 5


def test_good_endings_win_back_what_a_refusal_took() -> None:
    """One more after GROW_AFTER, up to the limit that is known and no further."""
    capacity = Capacity(3)
    capacity.refused(others=1)
    limits = []
    for _ in range(4 * GROW_AFTER):
        capacity.went_well()
        limits.append(capacity.limit)
    grown = [1] * (GROW_AFTER - 1) + [2] * GROW_AFTER
    assert limits == grown + [3] * (4 * GROW_AFTER - len(grown))


def test_another_refusal_starts_the_count_anew() -> None:
    """Good endings count only since the last refusal."""
    capacity = Capacity(9)
    capacity.refused(others=2)
    for _ in range(GROW_AFTER - 1):
        capacity.went_well()
    capacity.refused(others=2)
    capacity.went_well()
    assert capacity.limit == 2


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        ("5", 5),
        (" 15 ", 15),
        ("50, 50;w=1", 50),
        ("", None),
        ("five", None),
        ("-5", None),
        ("5.5", None),
        ("1e9", None),
        ("123456", None),
        ("\N{ARABIC-INDIC DIGIT FIVE}", None),
    ],
)
def test_the_header_is_read_leniently(value: str, limit: int | None) -> None:
    """Parameters behind the number are left alone; rubbish names no limit."""
    assert limit_of({LIMIT_HEADER: value}) == limit


def test_no_header_names_no_limit() -> None:
    """Nothing is learnt from silence."""
    assert limit_of({}) is None


@given(st.text())
def test_no_header_breaks_it(value: str) -> None:
    """Whatever a header says, it is a number or nothing."""
    assert limit_of({LIMIT_HEADER: value}) in {None, *range(100_000)}


@given(st.lists(st.one_of(st.integers(-5, 60), st.sampled_from(["good", "told"]))))
def test_something_may_always_run(steps: list[int | str]) -> None:
    """Whatever is learnt, one request at least is admitted, and never more than was told."""
    capacity = Capacity(20)
    for step in steps:
        if step == "good":
            capacity.went_well()
        elif isinstance(step, int) and step % 2:
            capacity.learn(step)
        elif isinstance(step, int):
            capacity.refused(others=step)
        assert capacity.admits(0)
        assert not capacity.admits(20)
