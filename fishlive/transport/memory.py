"""WebSockets without a network: for tests, and for simulations in virtual time.

Everything happens in the running loop and by its clock: no thread, no file descriptor, no timer
but the loop's. A message is delivered in a later turn of the loop, never inside ``send``.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from fishlive.errors import ConnectTimeout, FishLiveError
from fishlive.limits import CLOSE_TIMEOUT_S, KIB
from fishlive.transport.endings import (
    OK,
    TOO_LARGE,
    complain,
    dead,
    lost,
    raised,
    report,
    too_large,
)
from fishlive.transport.frames import NO_STATUS_CODE
from fishlive.transport.pings import Pings
from fishlive.transport.pipe import Pipe
from fishlive.transport.refusal import refusal, server_closed
from fishlive.transport.socket import Handshake, Receiver, Socket, Target

WRITE_HIGH_BYTES: Final = 64 * KIB
"""Above this a socket is not writable: what asyncio's own transports take (3.10 to 3.14)."""

WRITE_LOW_BYTES: Final = 16 * KIB
"""At or below this it is writable again, as there."""


class MemorySocket:
    """The client's end: a :class:`~fishlive.transport.socket.Socket`."""

    def __init__(
        self, target: Target, receiver: Receiver, handshake: Handshake, delay_s: float
    ) -> None:
        self.receiver = receiver
        self._handshake = handshake
        self._limit_bytes = target.max_message_bytes
        self._up = Pipe(delay_s, self._drained)
        self._down = Pipe(delay_s, lambda: None)
        self._peer = MemoryPeer(self, target, self._up, self._down)
        self._pings = Pings()
        self._gone = asyncio.get_running_loop().create_future()
        self._closed = False
        self._writable = True
        self._ignored = 0

    @property
    def peer(self) -> MemoryPeer:
        """The service's end."""
        return self._peer

    @property
    def handshake(self) -> Handshake:
        """See :attr:`Socket.handshake`."""
        return self._handshake

    @property
    def closed(self) -> bool:
        """See :attr:`Socket.closed`."""
        return self._closed

    @property
    def writable(self) -> bool:
        """See :attr:`Socket.writable`."""
        return self._writable

    @property
    def ignored(self) -> int:
        """See :attr:`Socket.ignored`."""
        return self._ignored

    @property
    def pongs(self) -> int:
        """See :attr:`Socket.pongs`."""
        return self._pings.pongs

    def send(self, message: bytes) -> None:
        """See :meth:`Socket.send`."""
        if not self._closed:
            self._up.put(len(message), partial(self._peer.on_message, message))
            self._writable = self._writable and self._up.size_bytes <= WRITE_HIGH_BYTES

    def send_all(self, messages: Sequence[bytes]) -> None:
        """See :meth:`Socket.send_all`."""
        for message in messages:
            self.send(message)

    def pause_reading(self) -> None:
        """See :meth:`Socket.pause_reading`; nothing more arrives at all."""
        if not self._closed:
            self._down.pause()

    def resume_reading(self) -> None:
        """See :meth:`Socket.resume_reading`."""
        if not self._closed:
            self._down.resume()

    def send_ping(self) -> None:
        """See :meth:`Socket.send_ping`."""
        if not self._closed:
            self._up.put(0, partial(self._peer.on_ping, b""))

    async def ping(self) -> float:
        """See :meth:`Socket.ping`."""
        if self._closed:
            raise dead()
        return await self._pings.round_trip(
            lambda payload: self._up.put(0, partial(self._peer.on_ping, payload))
        )

    def abort(self) -> None:
        """See :meth:`Socket.abort`."""
        if not self._gone.done():
            self._mute()
            self._cut()

    async def aclose(self) -> None:
        """See :meth:`Socket.aclose`."""
        try:
            if not self._closed:
                self._mute()
                self._up.put(0, partial(self._peer.on_close, OK))
                self._down.resume()
                await asyncio.wait((self._gone,), timeout=CLOSE_TIMEOUT_S)
        finally:
            self.abort()

    def take(self, message: bytes | str) -> None:
        """Receive a message of the peer."""
        if self._closed:
            return
        if isinstance(message, str):
            self._ignored += 1
        elif len(message) > self._limit_bytes:
            self._end(too_large(len(message), self._limit_bytes), TOO_LARGE)
        else:
            try:
                self.receiver.on_message(message)
            except Exception as error:  # noqa: BLE001 - reported as the Protocol promises
                self._receiver_raised(error)

    def take_pong(self, payload: bytes) -> None:
        """Receive a pong of the peer."""
        self._pings.answered(payload)

    def take_close(self, code: int, reason: str) -> None:
        """Receive the peer's close frame: the first one, or the answer to ours."""
        if self._closed:
            self._cut()
        else:
            self._end(server_closed(code, reason), code)

    def take_loss(self) -> None:
        """Receive the end of the connection."""
        if not self._closed:
            self._end(lost(), None)
        self._cut()

    def _drained(self) -> None:
        if self._writable or self._closed or self._up.size_bytes > WRITE_LOW_BYTES:
            return
        self._writable = True
        try:
            self.receiver.on_writable()
        except Exception as error:  # noqa: BLE001 - reported as the Protocol promises
            self._receiver_raised(error)

    def _receiver_raised(self, error: Exception) -> None:
        if self._closed:
            complain(error)
        else:
            self._end(raised(error), None)

    def _end(self, error: FishLiveError, code: int | None) -> None:
        self._mute()
        if code is not None:
            self._up.put(0, partial(self._peer.on_close, code))
        self._cut()
        report(self.receiver, error)

    def _mute(self) -> None:
        self._closed = True
        self._pings.close()

    def _cut(self) -> None:
        if not self._gone.done():
            self._gone.set_result(None)
            self._down.clear()
            self._up.put(0, self._peer.on_loss)


class MemoryPeer:
    """The service's end of a connection, played by a test.

    Attributes:
        target: What the client asked for, with its headers.
        messages: What the client sent, in order.
        close_code: What the client closed with; None while open and after a cut.
        closed: Whether the client closed or cut the connection, or :meth:`drop` did.
        answers_pings: Set to False to leave pings without a pong.
        answers_close: Set to False to leave the client's close frame without an answer.
    """

    def __init__(self, client: MemorySocket, target: Target, up: Pipe, down: Pipe) -> None:
        self.target = target
        self.messages: list[bytes] = []
        self.close_code: int | None = None
        self.closed: bool = False
        self.answers_pings: bool = True
        self.answers_close: bool = True
        self._client = client
        self._up = up
        self._down = down
        self._unread: deque[bytes] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._said_goodbye = False

    def send(self, message: bytes | str) -> None:
        """Send one binary message, or one text message."""
        self._down.put(len(message), partial(self._client.take, message))

    def close(self, code: int = OK, reason: str = "") -> None:
        """Send a close frame and keep the connection open; NO_STATUS_CODE sends none in it."""
        self._said_goodbye = True
        self._down.put(0, partial(self._client.take_close, code, reason))

    def drop(self) -> None:
        """End the connection without a close frame, after what was sent."""
        self.on_loss()
        self._down.put(0, self._client.take_loss)

    def pause_reading(self) -> None:
        """Take nothing more, so that the client's write buffer fills."""
        self._up.pause()

    def resume_reading(self) -> None:
        """Take again."""
        self._up.resume()

    async def receive(self) -> bytes:
        """Return the next message of the client that this method has not returned yet.

        Raises:
            StreamClosedError: There is none, and none will come.
        """
        while not self._unread:
            if self.closed:
                raise dead()
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._unread.popleft()

    def on_message(self, message: bytes) -> None:
        """Receive a message of the client."""
        if not self.closed:
            self.messages.append(message)
            self._unread.append(message)
            self._wake()

    def on_ping(self, payload: bytes) -> None:
        """Receive a ping of the client."""
        if self.answers_pings:
            self._down.put(0, partial(self._client.take_pong, payload))

    def on_close(self, code: int) -> None:
        """Receive the client's close frame: the first one, or the answer to ours."""
        if self.close_code is None:
            self.close_code = code
            if self.answers_close and not self._said_goodbye:
                self._down.put(0, partial(self._client.take_close, code, ""))

    def on_loss(self) -> None:
        """Receive the end of the connection."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        if self._reader and not self._reader.done():
            self._reader.set_result(None)


class MemoryRequest:
    """A client that asks for an upgrade. Answer it once; unanswered it runs into its timeout."""

    def __init__(self, target: Target, receiver: Receiver, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        self.target = target
        self._receiver = receiver
        self._delay_s = delay_s
        self._asked = loop.time()
        self.answer: asyncio.Future[MemorySocket | FishLiveError] = loop.create_future()

    def accept(self, headers: Mapping[str, str] | None = None) -> MemoryPeer:
        """Open the WebSocket and return the service's end; ``headers`` go with the 101."""
        took_s = asyncio.get_running_loop().time() - self._asked
        handshake = Handshake(took_s, headers={k.lower(): v for k, v in (headers or {}).items()})
        socket = MemorySocket(self.target, self._receiver, handshake, self._delay_s)
        if self.answer.done():
            socket.abort()
        else:
            self.answer.set_result(socket)
        return socket.peer

    def refuse(
        self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> None:
        """Answer with another status."""
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        self.fail(refusal(status, lower, body))

    def fail(self, error: FishLiveError) -> None:
        """Have connecting raise ``error``, as if the network had failed."""
        if not self.answer.done():
            self.answer.set_result(error)


class MemoryServer:
    """Something to connect to: ``server.connect`` is a Connect.

    Args:
        on_request: Called in the loop with every request, to answer it there or later. Without
            it, requests wait for :meth:`request`.
        delay_s: How long everything takes in each direction, in seconds of the loop's clock.
    """

    def __init__(
        self,
        on_request: Callable[[MemoryRequest], object] | None = None,
        *,
        delay_s: float = 0.0,
    ) -> None:
        self._on_request = on_request
        self._delay_s = delay_s
        self._requests: asyncio.Queue[MemoryRequest] = asyncio.Queue()

    async def request(self) -> MemoryRequest:
        """Return the next client's request."""
        return await self._requests.get()

    async def accept(self) -> MemoryPeer:
        """Accept the next client."""
        return (await self.request()).accept()

    async def connect(self, target: Target, receiver: Receiver) -> Socket:
        """See :class:`~fishlive.transport.socket.Connect`; a round trip takes twice the delay."""
        request = MemoryRequest(target, receiver, self._delay_s)
        timer = asyncio.get_running_loop().call_later(2 * self._delay_s, self._arrived, request)
        try:
            await asyncio.wait((request.answer,), timeout=target.timeout_s)
        except asyncio.CancelledError:
            _withdraw(request)
            raise
        finally:
            timer.cancel()
        if not request.answer.done():
            _withdraw(request)
            raise ConnectTimeout(f"no WebSocket within {target.timeout_s:g} s", phase="upgrade")
        answer = request.answer.result()
        if isinstance(answer, FishLiveError):
            raise answer
        return answer

    def _arrived(self, request: MemoryRequest) -> None:
        if self._on_request:
            self._on_request(request)
        else:
            self._requests.put_nowait(request)


def _withdraw(request: MemoryRequest) -> None:
    """Abort what the service opened, or will open, for a client that has gone."""
    if not request.answer.done():
        request.answer.cancel()
    elif isinstance(socket := request.answer.result(), MemorySocket):
        socket.abort()


__all__ = [
    "NO_STATUS_CODE",
    "MemoryPeer",
    "MemoryRequest",
    "MemoryServer",
    "MemorySocket",
]
