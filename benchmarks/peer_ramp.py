"""How many is enough: the steps of a ramp, and what stopped it. No clock and no I/O."""

from __future__ import annotations

import math
from typing import NamedTuple

from benchmarks.peer_plans import AHEAD_S

BEGIN = 16
"""Sessions of the first step, which shows what one costs."""

STEP = 1.25
"""How well the answer is known: the least that failed is at most so much more than the most that
passed. A step up is at least so much, too."""

LEAP = 4.0
"""A step up is at most so much: what a session costs falls with their number."""

MOST = 4000
"""Sessions that no step exceeds: one file descriptor each, at both ends."""

AIM = 0.7
"""Share of the core that a step up aims for, by what the one before cost."""

LATE_SERVER_S = AHEAD_S / 2
"""A server that is so late, in seconds, may itself have been the limit."""

FULL = 0.85
"""Share of a core in use from which the client is called the limit."""

DISTURBED = 0.02
"""Share of the time in which the client was ready and another process had its core, from which a
step that failed proves nothing."""


class Step(NamedTuple):
    """What became of so many sessions: how many ran dry, and who was how busy (1 is a core).

    ``starved`` is the share of the time in which another process had the client's core.
    """

    count: int
    dry: int
    client_busy: float
    server_busy: float
    server_late_s: float
    starved: float = 0.0


class Ramp:
    """Remembers the best step that passed and the least that failed."""

    def __init__(self) -> None:
        self.passed: Step | None = None
        self.failed: Step | None = None

    def note(self, step: Step) -> None:
        """Take a step's result."""
        if step.dry:
            self.failed = step
        else:
            self.passed = step

    def next(self) -> int | None:
        """Return how many sessions come next; None once the answer is known well enough."""
        passed, failed = self.passed, self.failed
        if passed is None:
            return BEGIN if failed is None else failed.count // 2 or None
        if failed is None:
            leap = min(LEAP, max(STEP, AIM / max(passed.client_busy, 0.001)))
            return min(MOST, int(passed.count * leap) + 1) if passed.count < MOST else None
        if failed.count <= passed.count * STEP + 1:
            return None
        return round(math.sqrt(passed.count * failed.count))

    @property
    def limit(self) -> str:
        """What stopped it, as far as can be told."""
        failed = self.failed
        if failed is None:
            return "none found"
        if failed.starved > DISTURBED:
            return "other processes"
        if failed.server_late_s > LATE_SERVER_S and failed.server_busy > failed.client_busy:
            return "the server"
        return "the client's core" if failed.client_busy > FULL else "stalls of the client"
