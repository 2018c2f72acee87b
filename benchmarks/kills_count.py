"""What became of tasks whose receiver was killed, told from what its handler wrote down. Pure.

The receiver promises: each task reaches the handler once and is marked done after the handler
returned. A crash before the mark hands it over again, and says so. No store can promise more, as
the handler's work and the mark are not one transaction, unless the work is kept under the ticket.
So a second run is fair if the process of the first was killed over it, and the second was told.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields

BEGAN, RETURNED = "began", "returned"


@dataclass(frozen=True, slots=True)
class Line:
    """What a handler writes down.

    Attributes:
        what: BEGAN or RETURNED.
        life: Of which process.
        ticket: Of the task.
        task_id: What the gateway calls it.
        note: What the application calls it.
        told: Whether the handler was told that it may have seen the task.
        kept: Whether it kept the result; False if one was there.
    """

    what: str
    life: str
    ticket: str
    task_id: str
    note: str
    told: bool
    kept: bool = False

    def written(self) -> str:
        """Return it as a line."""
        return json.dumps(asdict(self))


def read(line: str) -> Line:
    """Return what was written."""
    return Line(**json.loads(line))


@dataclass(frozen=True, slots=True)
class Count:
    """What became of the tasks; in words by :meth:`rows`."""

    accepted: int
    handled: int
    once: int
    cut_inside: int
    cut_behind: int
    most_a_kill: int
    without_a_kill: int
    untold: int
    kept: int
    kept_again: int
    marked: int
    unacknowledged: int
    lost: int

    def rows(self) -> list[tuple[str, int]]:
        """Return what is counted, in words, and how many."""
        numbers = [getattr(self, field.name) for field in fields(self)]
        return list(zip(_LABELS, numbers, strict=True))

    def table(self) -> str:
        """Return it for people."""
        return "\n".join(f"{label:<58}{number:>7}" for label, number in self.rows())

    def faults(self, *, concurrency: int) -> list[str]:
        """Return which promises were broken."""
        broken = {
            "a task was lost": self.lost,
            "a task was handed over twice by one process": self.without_a_kill,
            "a repetition was not told": self.untold,
            "a result was kept twice": self.kept_again,
            "a result is missing": self.handled - self.kept,
            "a handled task is not marked done": self.handled - self.marked,
            "one kill repeated more than ran at once": self.most_a_kill > concurrency,
        }
        return [name for name, found in broken.items() if found]


_LABELS = (
    "accepted by the gateway",
    "handled",
    "  of these, handed over once",
    "  again: killed inside the handler",
    "  again: killed between its return and the mark",
    "  most repeated by one kill",
    "  again without a kill",
    "  again and not told so",
    "results kept under their ticket",
    "  kept twice",
    "marked done in the store",
    "acknowledgement lost, and listed",
    "lost",
)


def counted(
    accepted: Mapping[str, str],
    written: Iterable[Line],
    *,
    kept: Collection[str],
    marked: int,
    listed: Collection[str],
) -> Count:
    """Return what became of the tasks.

    Args:
        accepted: By the gateway: the application's name of each, by the gateway's.
        written: By the handler, in order.
        kept: Tickets of the results there are.
        marked: How many tasks the store knows as done.
        listed: Names whose acknowledgement is known to be lost.
    """
    lines = list(written)
    runs = _runs(lines)
    handled = {line.task_id for line in lines if line.what == RETURNED}
    returned = {(line.ticket, line.life) for line in lines if line.what == RETURNED}
    again = [(ticket, one.life) for ticket, begun in runs.items() for one in begun[:-1]]
    lives = Counter(life for _, life in again)
    missing = [name for task_id, name in accepted.items() if task_id not in handled]
    strange = {line.task_id for line in lines} - set(accepted)
    return Count(
        accepted=len(accepted),
        handled=len(handled),
        once=sum(1 for begun in runs.values() if len(begun) == 1),
        cut_inside=sum(1 for run in again if run not in returned),
        cut_behind=sum(1 for run in again if run in returned),
        most_a_kill=max(lives.values(), default=0),
        without_a_kill=sum(_by_one_life(begun) for begun in runs.values()),
        untold=sum(1 for begun in runs.values() for one in begun[1:] if not one.told),
        kept=len(kept),
        kept_again=sum(n - 1 for n in _kept(lines).values()),
        marked=marked,
        unacknowledged=sum(1 for name in missing if name in listed),
        lost=sum(1 for name in missing if name not in listed) + len(strange),
    )


def _runs(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """Return how each task was begun, by ticket, in order."""
    runs: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        if line.what == BEGAN:
            runs[line.ticket].append(line)
    return runs


def _by_one_life(begun: Sequence[Line]) -> int:
    """Return how many runs of a task were second ones of the same process."""
    return len(begun) - len({one.life for one in begun})


def _kept(lines: Sequence[Line]) -> Counter[str]:
    return Counter(line.ticket for line in lines if line.what == RETURNED and line.kept)
