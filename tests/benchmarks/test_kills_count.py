"""What is counted after kills is what happened: each way to break a promise shows."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from benchmarks.kills_count import BEGAN, RETURNED, Count, Line, counted, read


def run(name: str, life: str, *, told: bool = False, kept: bool = True) -> list[Line]:
    """Return what a handler writes that is not killed."""
    began = Line(BEGAN, life, f"ticket-{name}", f"task-{name}", name, told)
    return [began, replace(began, what=RETURNED, kept=kept)]


def count(*lines: Line, accepted: str = "ab", marked: int = 2, listed: str = "") -> Count:
    """Return the count of two tasks, a and b, unless told."""
    kept = {line.ticket for line in lines if line.kept}
    names = {f"task-{name}": name for name in accepted}
    return counted(names, lines, kept=kept, marked=marked, listed=set(listed))


def test_two_tasks_handled_once_each_break_nothing() -> None:
    """Every line of the table says so."""
    found = count(*run("a", "1"), *run("b", "1"))
    assert (found.accepted, found.handled, found.once, found.kept, found.marked) == (2,) * 5
    assert found.faults(concurrency=8) == []


def test_a_kill_inside_the_handler_is_told_from_one_behind_it() -> None:
    """The first had not returned; the second had, and was not marked yet. Both are fair."""
    inside = count(run("a", "1")[0], *run("a", "2", told=True), *run("b", "1"))
    assert (inside.once, inside.cut_inside, inside.cut_behind) == (1, 1, 0)
    behind = count(*run("a", "1"), *run("a", "2", told=True, kept=False), *run("b", "1"))
    assert (behind.once, behind.cut_inside, behind.cut_behind) == (1, 0, 1)
    assert inside.faults(concurrency=8) == behind.faults(concurrency=8) == []


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (count(*run("a", "1"), marked=1), "a task was lost"),
        (count(*run("a", "1"), *run("b", "1"), *run("c", "1"), marked=3), "a task was lost"),
        (
            count(*run("a", "1"), *run("a", "1", told=True, kept=False), *run("b", "1")),
            "a task was handed over twice by one process",
        ),
        (
            count(*run("a", "1"), *run("a", "2", kept=False), *run("b", "1")),
            "a repetition was not told",
        ),
        (
            count(*run("a", "1"), *run("a", "2", told=True), *run("b", "1")),
            "a result was kept twice",
        ),
        (count(*run("a", "1", kept=False), *run("b", "1")), "a result is missing"),
        (count(*run("a", "1"), *run("b", "1"), marked=1), "a handled task is not marked done"),
    ],
)
def test_each_broken_promise_is_named(found: Count, fault: str) -> None:
    """It alone."""
    assert found.faults(concurrency=8) == [fault]


def test_one_kill_repeats_no_more_than_ran_at_once() -> None:
    """What was marked long before is not repeated, or somebody has forgotten it."""
    lines = [*run("a", "1"), *run("b", "1")]
    lines += [line for name in "ab" for line in run(name, "2", told=True, kept=False)]
    assert count(*lines).faults(concurrency=2) == []
    assert count(*lines).faults(concurrency=1) == ["one kill repeated more than ran at once"]


def test_a_lost_acknowledgement_that_is_listed_is_not_lost() -> None:
    """The receiver says which; whether the gateway has the task, nobody knows."""
    found = count(*run("a", "1"), marked=1, listed="b")
    assert (found.unacknowledged, found.lost) == (1, 0)
    assert found.faults(concurrency=8) == []


def test_a_line_is_read_as_it_was_written() -> None:
    """Also of a note with white space in it."""
    line = Line(BEGAN, "1", "t", "id", "chapter 7", told=True)
    assert read(line.written()) == line
