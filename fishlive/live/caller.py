"""Who waits for a socket."""

from __future__ import annotations

from typing import Protocol

from fishlive.errors import FishLiveError
from fishlive.transport.socket import Receiver, Socket


class Caller(Receiver, Protocol):
    """An utterance that waits for a slot and a socket, and then listens to it.

    Attributes:
        slot_wait_s: How long it waited for slots, in seconds. Whoever had it wait adds to it.
    """

    slot_wait_s: float

    def attach(self, socket: Socket, *, reused: bool, doubtful: bool) -> None:
        """Take the socket; called at most once for each request, maybe within it.

        Args:
            socket: Open, as far as we know.
            reused: Whether it served an utterance before.
            doubtful: Whether the service may be closing it: it was reused, or idle for long.
        """

    def refuse(self, error: FishLiveError) -> None:
        """Learn that there is no socket; called instead of :meth:`attach`."""
