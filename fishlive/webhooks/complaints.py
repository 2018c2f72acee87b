"""Complaints about strangers' requests, few enough not to fill a disk."""

from __future__ import annotations

import logging
import time
from typing import Final

_log: Final = logging.getLogger("fishlive.webhooks")

SPACING_S: Final = 10.0
"""From one line to the next, in seconds, however many requests are refused meanwhile."""


class Complaints:
    """Logs why requests are refused: the first at once, then a line each SPACING_S."""

    def __init__(self) -> None:
        self._next_s = 0.0
        self._unsaid = 0

    def add(self, reason: str) -> None:
        """Log a reason, or count it. It repeats nothing of the request."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            self._unsaid += 1
            return
        more = f" (and {self._unsaid} more since)" if self._unsaid else ""
        _log.warning("a request was refused: %s%s", reason, more)
        self._next_s, self._unsaid = now_s + SPACING_S, 0
