"""How long one HTTP exchange may take, phase by phase."""

from __future__ import annotations

import math
from typing import Any, Final

import aiohttp
import anyio

from fishlive.errors import ConnectTimeout, FishLiveError, StallTimeout
from fishlive.transport.call import Timeouts

_WORDS: Final = {
    "send": "the service took no more of the request",
    "first_byte": "the service did not answer",
    "body": "the service went silent in the middle of its answer",
    "total": "the whole call",
}


class Patience:
    """Moves one deadline from phase to phase: connect, send, first_byte, body.

    Used as ``with patience.scope(): await ...``; when time runs out the await is cancelled and
    :meth:`late` says so.

    Args:
        timeouts: Of each phase.
        ends_at: When the whole call has to be over, by anyio's clock; infinity for never.

    Attributes:
        phase: Where it stands. ``queue`` is a wait of our own, without a deadline.
        sent: Whether any of the request may have reached the service.
        timeouts: As given.
        ends_at: As given, and later by what was excused.
        excused_s: Seconds that do not count.
    """

    def __init__(self, timeouts: Timeouts, ends_at: float) -> None:
        self.phase: str = "queue"
        self.sent: bool = False
        self.timeouts: Timeouts = timeouts
        self.ends_at: float = ends_at
        self.excused_s: float = 0.0
        self._scope: anyio.CancelScope | None = None

    def scope(self) -> anyio.CancelScope:
        """Return a scope that is cancelled when the phase, or the call, has taken too long."""
        self._scope = anyio.CancelScope()
        self.enter(self.phase)
        return self._scope

    def enter(self, phase: str) -> None:
        """Begin a phase, or begin it again because something moved.

        Once the answer's body is read nothing else counts: an upload may still go on beside it.
        """
        if self.phase == "body" != phase:
            return
        self.phase = phase
        limit_s = {
            "connect": self.timeouts.connect_s,
            "first_byte": self.timeouts.first_byte_s,
            "send": self.timeouts.between_s,
            "body": self.timeouts.between_s,
        }.get(phase)
        self.sent = self.sent or phase in {"send", "first_byte", "body"}
        if self._scope is not None:
            ends_at = math.inf if limit_s is None else anyio.current_time() + limit_s
            self._scope.deadline = min(ends_at, self.ends_at)

    def excuse(self, seconds: float) -> None:
        """Do not count some seconds against the whole call."""
        self.excused_s += seconds
        self.ends_at += seconds

    def late(self) -> FishLiveError | None:
        """Return a ConnectTimeout or a StallTimeout if the scope ran out of time."""
        if self._scope is None or not self._scope.cancelled_caught:
            return None
        if anyio.current_time() >= self.ends_at:
            return StallTimeout("the call took longer than total_s", phase="total")
        if self.phase in {"queue", "connect"}:
            limit_s = self.timeouts.connect_s
            return ConnectTimeout(f"no connection within {limit_s:g} s")
        limit_s = (
            self.timeouts.first_byte_s if self.phase == "first_byte" else self.timeouts.between_s
        )
        return StallTimeout(f"{_WORDS[self.phase]} within {limit_s:g} s", phase=self.phase)


def trace() -> aiohttp.TraceConfig:
    """Return what tells each request's Patience, its trace context, how far it is."""
    config = aiohttp.TraceConfig()

    def on(phase: str) -> Any:
        async def moved(_session: object, context: Any, _params: object) -> None:
            patience = context.trace_request_ctx
            if isinstance(patience, Patience):
                patience.enter(phase)

        return moved

    config.on_connection_queued_start.append(on("queue"))
    config.on_connection_create_start.append(on("connect"))
    config.on_connection_create_end.append(on("send"))
    config.on_connection_reuseconn.append(on("send"))
    config.on_request_headers_sent.append(on("first_byte"))
    return config
