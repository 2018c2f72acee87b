"""Runs schedules and judges them: ``simulate(seed)`` for one, ``sweep(seeds)`` for very many."""

from __future__ import annotations

import gc
import hashlib
import random
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import fishlive.live.source
from fishlive.testing.clock import Stuck, VirtualLoop, close, seeded
from fishlive.testing.desk import described
from fishlive.testing.draw import SILENT_FAULTS, schedule_of
from fishlive.testing.invariants import check, check_loop
from fishlive.testing.lockstep import Threads
from fishlive.testing.program import History, play
from fishlive.testing.schedule import Schedule

MAX_TURNS = 1_000_000
"""Turns of the loop in one conversation; an ordinary one takes a few hundred."""

SWEEP = 100
"""Schedules between two collections of garbage. Within a schedule there is none, because when a
cycle is collected would depend on what ran before."""


@dataclass(slots=True)
class Verdict:
    """How one schedule went.

    Attributes:
        schedule: Which.
        problems: What does not hold; none if all is well.
        trace: What happened, in order: seconds, who, what.
        lasted_s: Virtual seconds.
    """

    schedule: Schedule
    problems: list[str]
    trace: list[tuple[float, str, str]] = field(default_factory=list)
    lasted_s: float = 0.0

    @property
    def digest(self) -> str:
        """A hash of the trace: the same seed has the same one, everywhere."""
        return hashlib.sha256("\n".join(self.lines()).encode()).hexdigest()

    def lines(self) -> Iterator[str]:
        """Yield the trace as it is to be read."""
        return (f"{at:10.4f}  {who:12} {what}" for at, who, what in self.trace)


def simulate(seed: int, *, silent: bool = SILENT_FAULTS) -> Verdict:
    """Play the schedule of a seed and judge it."""
    return judge(schedule_of(seed, silent=silent))


def judge(schedule: Schedule) -> Verdict:
    """Play a schedule and judge it. Not to be called in a running loop."""
    loop = VirtualLoop(seed=schedule.seed, limit_s=schedule.length_s, max_turns=MAX_TURNS)
    chance = random.Random(schedule.seed)  # noqa: S311 - not a secret
    threads = Threads(loop, lambda: 0.002 * chance.random())
    verdict = Verdict(schedule, [])
    try:
        with seeded(schedule.seed), threads.installed(fishlive.live.source), _unread_is_fine():
            try:
                main = loop.create_task(_played(schedule, threads, verdict), name="simulation")
                loop.run_until_complete(main)
            except Stuck as stuck:
                verdict.problems.append(f"it does not end: {stuck} (I1)")
        verdict.lasted_s = loop.time()
        verdict.problems += check_loop(loop, loop.wind_down())
    finally:
        close(loop)
    return verdict


def sweep(seeds: Iterable[int], *, silent: bool = SILENT_FAULTS) -> Iterator[Verdict]:
    """Yield the verdicts that found something. Garbage is collected between schedules only."""
    with no_garbage():
        for number, seed in enumerate(seeds, 1):
            verdict = simulate(seed, silent=silent)
            if verdict.problems:
                yield verdict
            if number % SWEEP == 0:
                gc.collect()


async def _played(schedule: Schedule, threads: Threads, verdict: Verdict) -> None:
    def begun(history: History) -> None:
        verdict.trace = history.service.network.journal.entries

    history = await play(schedule, threads, begun)
    journal = history.service.network.journal
    described(history.service.attempts, lambda line: journal.note("service", line))
    verdict.problems += check(history)


@contextmanager
def _unread_is_fine() -> Iterator[None]:
    """Keep the warning to oneself that audio was paid for and not read: schedules mean to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield


@contextmanager
def no_garbage() -> Iterator[None]:
    """Collect now, and then not before the end."""
    was = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was:
            gc.enable()
        gc.collect()
