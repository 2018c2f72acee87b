"""A network without sockets: delays, jitter and broken lines, decided by a seed.

``Session(transport=network.connect)`` speaks over it. The service's side is yours: it is handed
each request, and accepts it, refuses it or lets it hang.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fishlive.errors import FishLiveError
from fishlive.transport.memory import MemoryPeer, MemoryRequest, MemoryServer, MemorySocket
from fishlive.transport.socket import Handshake, Receiver, Socket, Target


@dataclass(frozen=True, slots=True)
class Weather:
    """How far away the service is. Seconds.

    Attributes:
        delay_s: Every message takes so long in each direction, and connecting twice that.
        jitter_s: What the service says takes up to so much longer; order is kept.
    """

    delay_s: float = 0.0
    jitter_s: float = 0.0


class Journal:
    """What happened in a run, in order, with the time of each event."""

    def __init__(self) -> None:
        self.entries: list[tuple[float, str, str]] = []
        self._now = asyncio.get_running_loop().time

    def note(self, who: str, what: str) -> None:
        """Add an event at the present time."""
        self.entries.append((self._now(), who, what))


class Tap:
    """Between a socket and its user: counts and notes what passes, and changes nothing.

    Attributes:
        receiver: Whom the socket reports to; see :class:`~fishlive.transport.socket.Socket`.
        number: Which connection this is, from 1; 0 before it was accepted.
        delivered: Messages that reached the receiver.
        ended: Why the receiver was told that it is over; None if it was not.
    """

    def __init__(self, receiver: Receiver, target: Target, journal: Journal) -> None:
        self.receiver = receiver
        self.target = target
        self.number: int = 0
        self.delivered: int = 0
        self.ended: FishLiveError | None = None
        self.socket: MemorySocket | None = None
        self._journal = journal

    # A Receiver, to the socket

    def on_message(self, message: bytes | memoryview) -> None:
        """Count a message and hand it on."""
        self.delivered += 1
        self.receiver.on_message(message)

    def on_closed(self, error: FishLiveError) -> None:
        """Note the end and hand it on."""
        self.ended = error
        self._journal.note(f"client {self.number}", f"told {type(error).__name__}")
        self.receiver.on_closed(error)

    def on_writable(self) -> None:
        """Hand it on."""
        self.receiver.on_writable()

    # A Socket, to its user

    def send(self, message: bytes) -> None:
        """See :meth:`Socket.send`."""
        self._open().send(message)

    def send_all(self, messages: Sequence[bytes]) -> None:
        """See :meth:`Socket.send_all`."""
        self._open().send_all(messages)

    def abort(self) -> None:
        """See :meth:`Socket.abort`."""
        if not self._open().closed:
            self._journal.note(f"client {self.number}", "aborts")
        self._open().abort()

    async def aclose(self) -> None:
        """See :meth:`Socket.aclose`."""
        await self._open().aclose()

    @property
    def handshake(self) -> Handshake:
        """See :attr:`Socket.handshake`."""
        return self._open().handshake

    @property
    def closed(self) -> bool:
        """See :attr:`Socket.closed`."""
        return self.socket is not None and self.socket.closed

    @property
    def writable(self) -> bool:
        """See :attr:`Socket.writable`."""
        return self._open().writable

    def __getattr__(self, name: str) -> Any:
        """Take everything else from the socket itself."""
        return getattr(self._open(), name)

    def _open(self) -> MemorySocket:
        if self.socket is None:
            raise AttributeError("it is not connected yet")
        return self.socket


class Link:
    """The service's end of one connection.

    Attributes:
        number: Which connection it is, from 1.
        target: What the client asked for, with its headers.
        sent: Binary messages sent so far. The client got the first ``delivered`` of them.
    """

    def __init__(self, number: int, peer: MemoryPeer, tap: Tap, network: Network) -> None:
        self.number = number
        self.target: Target = peer.target
        self.sent: int = 0
        self._peer = peer
        self._tap = tap
        self._loop = asyncio.get_running_loop()
        self._jitter_s = network.weather.jitter_s
        self._random = network.random
        self._queue: deque[Callable[[], object]] = deque()
        self._last_s = 0.0
        self._dead = False

    @property
    def delivered(self) -> int:
        """How many of the messages sent have reached the client's receiver."""
        return self._tap.delivered

    @property
    def lost(self) -> bool:
        """Whether either side has ended the connection."""
        return self._dead or self._peer.closed

    async def receive(self) -> bytes:
        """Return the client's next message. Raises StreamClosedError when none will come."""
        return await self._peer.receive()

    def send(self, message: bytes | str) -> None:
        """Send one message; a text message if it is a str."""
        if self.lost:
            return
        if isinstance(message, bytes):
            self.sent += 1
        self._later(lambda: self._peer.send(message))

    def close(self, code: int, reason: str = "") -> None:
        """Send a close frame behind what was sent, and keep the connection open."""
        self._later(lambda: self._peer.close(code, reason))

    def fin(self) -> None:
        """End the connection behind what was sent, without a close frame."""
        self._later(self._peer.drop)

    def rst(self) -> None:
        """End the connection now; what is still on its way through the jitter is lost."""
        self._queue.clear()
        self._dead = True
        self._peer.drop()

    def go_silent(self) -> None:
        """Be half open: nothing is read or sent any more, not even pongs."""
        self._queue.clear()
        self._dead = True
        self._peer.answers_pings = self._peer.answers_close = False
        self._peer.pause_reading()

    def pause_reading(self) -> None:
        """Take nothing more from the client, so that its write buffer fills."""
        self._peer.pause_reading()

    def resume_reading(self) -> None:
        """Take again."""
        self._peer.resume_reading()

    def _later(self, call: Callable[[], object]) -> None:
        if not self._jitter_s:
            call()
            return
        self._queue.append(call)
        due_s = self._loop.time() + self._random.random() * self._jitter_s
        self._last_s = due_s = max(due_s, self._last_s)
        # Each timer sends the oldest message, so the order does not depend on theirs.
        self._loop.call_at(due_s, self._next)

    def _next(self) -> None:
        if self._queue:
            self._queue.popleft()()


class Network:
    """Connects clients to a service, in the running loop and by its clock.

    Args:
        on_request: Called with each request, to be answered there or later by
            :meth:`accept`, ``request.refuse`` or ``request.fail``; or never.
        weather: How far away the service is.
        seed: Decides the jitter.
        journal: Where to note what happens.

    Attributes:
        taps: The client's ends, in the order in which they asked.
        links: The service's ends, in the order in which they were accepted.
    """

    def __init__(
        self,
        on_request: Callable[[MemoryRequest], object],
        *,
        weather: Weather | None = None,
        seed: int = 0,
        journal: Journal | None = None,
    ) -> None:
        self.weather: Weather = Weather() if weather is None else weather
        self.random: random.Random = random.Random(seed)  # noqa: S311 - jitter is no secret
        self.journal: Journal = Journal() if journal is None else journal
        self.taps: list[Tap] = []
        self.links: list[Link] = []
        self._waiting: dict[int, Tap] = {}
        self._server = MemoryServer(on_request, delay_s=self.weather.delay_s)

    async def connect(self, target: Target, receiver: Receiver) -> Socket:
        """See :class:`~fishlive.transport.socket.Connect`."""
        own = replace(target)  # an object of this connection alone, to know its request by
        tap = Tap(receiver, own, self.journal)
        self._waiting[id(own)] = tap
        self.taps.append(tap)
        self.journal.note("client", "connects")
        try:
            socket = await self._server.connect(own, tap)
        except FishLiveError as error:
            self.journal.note("client", f"cannot connect: {type(error).__name__}")
            raise
        finally:
            del self._waiting[id(own)]
        assert isinstance(socket, MemorySocket)  # noqa: S101 - what a MemoryServer makes
        tap.socket = socket
        return tap  # the rest of a Socket comes by __getattr__

    def accept(self, request: MemoryRequest, headers: Mapping[str, str] | None = None) -> Link:
        """Open the WebSocket that was asked for; ``headers`` go with the 101."""
        peer = request.accept(headers)
        tap = self._waiting.get(id(request.target))
        if tap is None:  # it has given up
            tap = Tap(_Nobody(), request.target, self.journal)
        link = Link(len(self.links) + 1, peer, tap, self)
        tap.number = link.number
        self.links.append(link)
        self.journal.note(f"service {link.number}", "accepts")
        return link


class _Nobody:
    """Hears nothing: the client has gone."""

    def on_message(self, message: bytes | memoryview) -> None:
        """Hear nothing."""

    def on_closed(self, error: FishLiveError) -> None:
        """Hear nothing."""

    def on_writable(self) -> None:
        """Hear nothing."""
