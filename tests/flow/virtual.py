"""A clock that goes where it is told: nothing waits, and every run is the same."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class VirtualTimer:
    """One call to come."""

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Call it off."""
        self.callback = None


class VirtualClock:
    """Time and timers. What is due at the same time happens in the order it was asked for."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._order = itertools.count()
        self._timers: list[tuple[float, int, VirtualTimer]] = []

    def time(self) -> float:
        """Return the time in seconds."""
        return self._now_s

    def call_later(self, delay: float, callback: Callable[[], object], /) -> VirtualTimer:
        """Have ``callback`` called later."""
        timer = VirtualTimer(callback)
        heapq.heappush(self._timers, (self._now_s + max(0.0, delay), next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due meanwhile."""
        until_s = self._now_s + seconds
        while self._timers and self._timers[0][0] <= until_s:
            self._now_s, _, timer = heapq.heappop(self._timers)
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()
        self._now_s = until_s
