"""How many control frames a peer may send: enough for any keepalive, too few for a flood."""

from __future__ import annotations

from typing import Final

from fishlive.errors import ProtocolError
from fishlive.transport.endings import broken

BURST: Final = 1024
"""Control frames at once. A service that pings every second for a quarter of an hour, while reading
is paused, is answered for all of it; a megabyte of two-byte pings is half a million."""

PER_S: Final = 20.0
"""Control frames a second for ever after: a ping and a pong every tenth of a second."""


class ControlBudget:
    """A bucket of control frames. Pure: the time is an argument.

    Each ping costs an answer of its own, so that a peer could keep us busy with nothing but them.
    """

    __slots__ = ("_at_s", "_left")

    def __init__(self) -> None:
        self._left = float(BURST)
        self._at_s: float | None = None

    def spend(self, now_s: float) -> ProtocolError | None:
        """Take one frame off; return what to end the connection with if there is none left."""
        if self._at_s is not None:
            self._left = min(BURST, self._left + PER_S * max(0.0, now_s - self._at_s))
        self._at_s = now_s
        if self._left < 1:
            return broken("a flood of control frames")
        self._left -= 1
        return None
