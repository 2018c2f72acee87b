"""Seeded conversations in virtual time: whatever goes wrong in them, every rule holds.

``SCHEDULES`` says how many are played (20,000 unless told), ``FIRST_SEED`` where they begin. A
chunk that fails names its seeds; ``python -m fishlive.testing.replay SEED`` plays one again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

import pytest

from fishlive.testing.draw import schedule_of
from fishlive.testing.simulate import Verdict, simulate, sweep

SCHEDULES: Final = int(os.environ.get("SCHEDULES", "20000"))
FIRST_SEED: Final = int(os.environ.get("FIRST_SEED", "0"))
CHUNK: Final = 1_000
"""Schedules in one test: some seconds."""

MOST_SHOWN: Final = 10
"""Seeds that a failing chunk names at most."""

_DIGESTS: Final = """
from fishlive.testing.simulate import simulate
for seed in range(30):
    print(simulate(seed, silent=True).digest)
"""


def report(verdicts: list[Verdict]) -> str:
    """Return what went wrong, and how to see it again."""
    lines = [f"{len(verdicts)} schedules break a rule"]
    for verdict in verdicts[:MOST_SHOWN]:
        lines.append(f"seed {verdict.schedule.seed}: {'; '.join(verdict.problems)[:600]}")
    lines.append(f"python -m fishlive.testing.replay {verdicts[0].schedule.seed} --shrink")
    return "\n".join(lines)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("first", range(FIRST_SEED, FIRST_SEED + SCHEDULES, CHUNK))
def test_every_rule_holds(first: int) -> None:
    """In a thousand conversations, however they were disturbed."""
    last = min(first + CHUNK, FIRST_SEED + SCHEDULES)
    verdicts = list(sweep(range(first, last)))
    if verdicts:
        pytest.fail(report(verdicts), pytrace=False)


def test_the_same_seed_plays_the_same_trace() -> None:
    """Twice in one process, whatever ran in between."""
    first = [simulate(seed).digest for seed in range(100)]
    assert [simulate(seed).digest for seed in reversed(range(100))] == first[::-1]
    assert len(set(first)) > 90  # a few conversations fail before they begin


def test_the_same_seed_plays_the_same_trace_in_every_process() -> None:
    """However strings are hashed there."""
    digests = [
        subprocess.run(
            [sys.executable, "-c", _DIGESTS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=50,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert len(digests[0]) == 30
    assert digests[0] == digests[1]


def test_schedules_are_as_different_as_seeds() -> None:
    """A hundred of them have every way of speaking, and most kinds of faults."""
    schedules = [schedule_of(seed) for seed in range(1_000)]
    assert len({str(schedule) for schedule in schedules}) == len(schedules)
    assert {turn.way for schedule in schedules for turn in schedule.turns} == {
        "text", "list", "async", "sync", "hand", "channel",
    }  # fmt: skip
    assert {fault.kind for schedule in schedules for fault in schedule.faults} == {
        "rst", "fin", "close", "error", "finish", "message", "delay", "status", "hang",
        "text-frame", "late-audio", "second-finish", "flood", "stall", "half-open", "deaf",
    }  # fmt: skip


def test_silence_is_a_flag() -> None:
    """Faults after which only a deadline helps come only where they are asked for."""
    kinds = {fault.kind for seed in range(300) for fault in schedule_of(seed, silent=False).faults}
    assert kinds.isdisjoint({"stall", "half-open", "deaf"})
