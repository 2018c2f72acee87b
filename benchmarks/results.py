"""What a suite returns: rows for the table, and the bars they are held to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Check:
    """One bar: what it claims, what was measured, and whether that is enough.

    ``measured`` and ``passed`` are None where a client that it needs was not measured.
    """

    claim: str
    bar: float
    measured: float | None
    passed: bool | None


@dataclass
class Suite:
    """The result of one suite."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def at_most(self, claim: str, measured: float | None, bar: float) -> None:
        """Hold a measured value to an upper bound."""
        self.checks.append(
            Check(claim, bar, measured, None if measured is None else measured <= bar)
        )

    def at_least(self, claim: str, measured: float | None, bar: float) -> None:
        """Hold a measured value to a lower bound."""
        self.checks.append(
            Check(claim, bar, measured, None if measured is None else measured >= bar)
        )

    def as_dict(self) -> dict[str, Any]:
        """Return what ``--json`` writes."""
        return {
            "title": self.title,
            "rows": [dict(zip(self.columns, row, strict=True)) for row in self.rows],
            "checks": [asdict(check) for check in self.checks],
            "notes": self.notes,
        }


Samples = dict[str, list[float]]
"""What each client needed, round by round."""


def ratio(samples: Samples, above: str, below: str) -> float | None:
    """Return the median over the rounds of one client by another, None if one was not measured.

    A cost that noise made negative (a short run beside a busy neighbour) was not measured either.
    Rounds are paired because both ran within seconds of each other: a machine that slows down
    half way changes the numbers and not their ratio.
    """
    pairs = zip(samples.get(above, []), samples.get(below, []), strict=False)
    return middle([a / b for a, b in pairs if b > 0])


def middle(values: Sequence[float]) -> float | None:
    """Return the median, None without values."""
    return median(values) if values else None
