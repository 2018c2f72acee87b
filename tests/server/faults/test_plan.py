"""Which connection meets which fault, how often: against a model of three lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fishlive.faults import Fault, Place
from fishlive.server.faults.plan import Plan, Visit

FREQUENCIES = st.fixed_dictionaries(
    {
        "times": st.none() | st.integers(1, 4),
        "every": st.integers(1, 4),
        "connection": st.none() | st.integers(1, 6),
    }
)


@given(st.lists(FREQUENCIES, max_size=4), st.integers(0, 12))
def test_frequency(frequencies: list[dict[str, int | None]], visits: int) -> None:
    """A fault happens to every nth visit, or one of them, at most so many times."""
    faults = [
        Fault(kind="rst", at=Place.UPGRADE, reason="", **each)  # type: ignore[arg-type]
        for each in frequencies
    ]
    plan = Plan()
    plan.add(faults)
    played = [0] * len(faults)
    for number in range(1, visits + 1):
        met = list(Visit(plan, "live").meets(Place.UPGRADE))
        expected = []
        for at, fault in enumerate(faults):
            due = number % fault.every == 0 and fault.connection in (None, number)
            if due and (fault.times is None or played[at] < fault.times):
                played[at] += 1
                expected.append(fault)
        assert met == expected
    assert sum(plan.played.values()) == sum(played)


def test_a_visit_that_ends_early_is_counted_by_all() -> None:
    """What comes behind a fault that ends the visit still counts the visit."""
    plan = Plan()
    plan.add([Fault.parse("rst@upgrade"), Fault.parse("fin@upgrade,connection=2")])
    assert next(Visit(plan, "live").meets(Place.UPGRADE)).kind == "rst"
    assert [fault.kind for fault in Visit(plan, "live").meets(Place.UPGRADE)] == ["fin"]


def test_healing_in_the_middle() -> None:
    """What was cleared is not met any more, even by a visit that knew of it."""
    plan = Plan()
    plan.add([Fault.parse("rst@audio:1,times=always")])
    visit = Visit(plan, "live")
    (entry,) = visit.waiting(Place.AUDIO)
    plan.clear()
    assert not visit.claim(entry)
    assert list(visit.meets(Place.AUDIO, 1)) == []


def test_numbers_and_endpoints() -> None:
    """Only the right number, at the right place, on the right endpoint."""
    plan = Plan()
    plan.add([Fault.parse("rst@audio:2,on=timed,times=always")])
    timed, live = Visit(plan, "timed"), Visit(plan, "live")
    assert [len(list(timed.meets(Place.AUDIO, number))) for number in (1, 2, 3)] == [0, 1, 0]
    assert list(timed.meets(Place.TEXT, 2)) == list(live.meets(Place.AUDIO, 2)) == []
