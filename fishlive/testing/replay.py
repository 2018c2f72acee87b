"""``python -m fishlive.testing.replay SEED``: one simulated conversation again, with its trace.

``--shrink`` looks for the smallest schedule that breaks the same rule; ``--sweep COUNT`` plays so
many seeds from SEED on and prints those that break any. Exits with 1 if a rule is broken.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Final

from fishlive.testing.draw import SILENT_FAULTS
from fishlive.testing.schedule import Schedule
from fishlive.testing.simulate import Verdict, judge, no_garbage, simulate, sweep

MOST_TRIES: Final = 2_000
"""Schedules that a search for a smaller one plays at most: some ten seconds."""

_RULE: Final = re.compile(r"\((I[1-8])\)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m fishlive.testing.replay", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--shrink", action="store_true", help="look for a smaller schedule")
    parser.add_argument("--sweep", type=int, metavar="COUNT", help="play so many seeds")
    parser.add_argument("--silent", action="store_true", default=SILENT_FAULTS)
    given = parser.parse_args(arguments)
    if given.sweep is not None:
        return _sweep(given.seed, given.sweep, silent=given.silent)
    verdict = simulate(given.seed, silent=given.silent)
    if given.shrink and verdict.problems:
        verdict = shrink(verdict.schedule)
    show(verdict, _print)
    return int(bool(verdict.problems))


def shrink(schedule: Schedule) -> Verdict:
    """Return the verdict on the smallest schedule found that breaks one of the same rules."""
    with no_garbage():
        best = judge(schedule)
        rules, tries = broken(best), 0
        while tries < MOST_TRIES:
            for smaller in best.schedule.smaller():
                tries += 1
                verdict = judge(smaller)
                if broken(verdict) & rules:
                    best = verdict
                    break
            else:
                break
    return best


def broken(verdict: Verdict) -> set[str]:
    """Return the rules that a conversation broke: I1 to I8, or ``other``."""
    return {
        found[1] if (found := _RULE.search(problem)) else "other" for problem in verdict.problems
    }


def show(verdict: Verdict, tell: Callable[[str], object]) -> None:
    """Tell a verdict line by line: the schedule, what happened, what is wrong with it."""
    schedule = verdict.schedule
    for field in fields(schedule):
        value = getattr(schedule, field.name)
        if field.name in {"turns", "faults"}:
            for item in value:
                tell(f"{field.name[:-1]}: {item}")
        else:
            tell(f"{field.name}: {value}")
    for line in verdict.lines():
        tell(line)
    tell(f"trace {verdict.digest[:16]}, {verdict.lasted_s:.3f} virtual seconds")
    for problem in verdict.problems or ["all rules hold"]:
        tell(f"!! {problem}" if verdict.problems else problem)


def _sweep(first: int, count: int, *, silent: bool) -> int:
    began_s, bad = time.monotonic(), 0
    for verdict in sweep(range(first, first + count), silent=silent):
        bad += 1
        for problem in verdict.problems:
            _print(f"seed {verdict.schedule.seed}: {problem}")
    took_s = time.monotonic() - began_s
    _print(f"{count} schedules, {bad} break a rule; {count / max(took_s, 1e-9):.0f} a second")
    return int(bool(bad))


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
