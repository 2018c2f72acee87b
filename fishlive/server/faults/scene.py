"""What faults know of a request, and what they change of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from fishlive.server.faults import frames, messages
from fishlive.server.faults.plan import Entry
from fishlive.server.faults.tap import Tap


class FinishedEarly(Exception):
    """An utterance that a fault ends, with the ``finish`` it is ended with."""

    def __init__(self, message: bytes) -> None:
        super().__init__()
        self.message = message


class Scene:
    """What the acts work with.

    Attributes:
        tap: The connection; None in a test without one.
        live: Whether it is a live socket.
        restart: Closes the port for so many seconds, and resets everybody.
        say: Sends a message, or a piece of the body, as the server does.
        shut: Closes as the server does.
        over: Whether nothing is said any more.
        answer: What is answered instead.
        headers: What the answer carries besides.
        opening: What happens right behind the 101.
        behind: Messages behind ``finish``.
        watched: Faults at a byte that the connection knows of.
        forged: Frames that are sent for the message that is due.
        odd: Whether audio is cut at odd bytes.
        last: The last audio that was due.
    """

    def __init__(self, tap: Tap | None, *, live: bool, restart: Callable[[float], None]) -> None:
        self.tap = tap
        self.live = live
        self.restart = restart
        self.say: Callable[[bytes], Awaitable[None]] = _nowhere
        self.shut: Callable[[], Awaitable[object]] = _nothing
        self.over: bool = False
        self.answer: web.Response | None = None
        self.headers: dict[str, str] = {}
        self.opening: list[Callable[[], Awaitable[object]]] = []
        self.behind: list[bytes] = []
        self.watched: set[Entry] = set()
        self.forged: Iterable[bytes] | None = None
        self.last: bytes = b""
        self.odd: bool = False
        self._gathering_s: float | None = None
        self._gathered: list[bytes] = []

    @property
    def wire(self) -> Tap:
        """The connection. Raises ConnectionError if there is none."""
        if self.tap is None:
            raise ConnectionResetError("no connection")
        return self.tap

    async def utter(self, message: bytes) -> None:
        """Send audio as it is to be sent now: in odd pieces, or later with others."""
        cut: Iterable[bytes] = (message,)
        if self.odd:
            cut = messages.pieces(message) if self.live else messages.odd(message)
        for piece in cut:
            if self._gathering_s is None:
                await self.deliver(piece)
            else:
                self._gather(piece, self._gathering_s)

    async def deliver(self, message: bytes) -> None:
        """Send a message as the server does, or the frames that a fault made of it."""
        forged, self.forged = self.forged, None
        if forged is None:
            await self.say(message)
        else:
            await self.wire.pour(forged)

    def gather(self, seconds: float) -> None:
        """Send what is due in so long at once, from now on."""
        self._gathering_s = seconds

    async def spill(self) -> None:
        """Send what was gathered."""
        gathered, self._gathered = self._gathered, []
        for message in gathered:
            await self.say(message)

    def framed(self, message: bytes) -> bytes:
        """Return a message, or a piece of a body, as it is on the wire."""
        return frames.frame(message) if self.live else b"%x\r\n%b\r\n" % (len(message), message)

    def _gather(self, message: bytes, seconds: float) -> None:
        if not self._gathered:
            asyncio.get_running_loop().call_later(seconds, self._spill_now)
        self._gathered.append(message)

    def _spill_now(self) -> None:
        gathered, self._gathered = self._gathered, []
        if self.tap is not None:
            self.tap.write(b"".join(map(self.framed, gathered)))


async def _nowhere(_message: bytes) -> None:
    """Send nothing: the answer has not begun."""


async def _nothing() -> None:
    """Close nothing."""
