"""Pings under way: which pong answers which, whatever the socket underneath."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fishlive.errors import StreamClosedError


class Pings:
    """Matches pongs to pings. A pong answers every earlier ping too (RFC 6455, section 5.5.3)."""

    __slots__ = ("_count", "_waiting", "pongs")

    def __init__(self) -> None:
        self._count = 0
        self.pongs: int = 0
        """Pongs that came, whoever waited for them."""
        self._waiting: dict[bytes, asyncio.Future[float | None]] = {}

    async def round_trip(self, send: Callable[[bytes], object]) -> float:
        """Call ``send`` with a fresh payload and return the seconds until its pong.

        Raises:
            StreamClosedError: :meth:`close` was called in the meantime.
        """
        loop = asyncio.get_running_loop()
        self._count += 1
        payload = self._count.to_bytes(8, "big")
        pong: asyncio.Future[float | None] = loop.create_future()
        self._waiting[payload] = pong
        sent = loop.time()
        try:
            send(payload)
            answered = await pong
        finally:
            self._waiting.pop(payload, None)
        if answered is None:
            raise StreamClosedError("the socket closed before the pong")
        return answered - sent

    def answered(self, payload: bytes) -> None:
        """Count a pong, and wake who waits for it."""
        self.pongs += 1
        if payload not in self._waiting:
            return
        now = asyncio.get_running_loop().time()
        for earlier in list(self._waiting):
            self._wake(earlier, now)
            if earlier == payload:
                return

    def close(self) -> None:
        """Tell everybody who waits that no pong will come."""
        for payload in list(self._waiting):
            self._wake(payload, None)

    def _wake(self, payload: bytes, when: float | None) -> None:
        pong = self._waiting.pop(payload)
        if not pong.done():
            pong.set_result(when)
