"""What the network adapters share: how a WebSocket lives and ends, above frames."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from fishlive.errors import FishLiveError, MessageTooLarge, ProtocolError
from fishlive.limits import CLOSE_TIMEOUT_S
from fishlive.transport.control import ControlBudget
from fishlive.transport.endings import (
    OK,
    PROTOCOL_ERROR,
    TOO_LARGE,
    complain,
    dead,
    raised,
    report,
)
from fishlive.transport.fragments import Fragments
from fishlive.transport.frames import Opcode, encode_frame, parse_close
from fishlive.transport.pings import Pings
from fishlive.transport.refusal import server_closed
from fishlive.transport.socket import Handshake, Receiver, Target

UNASKED: Final = ("sec-websocket-extensions", "sec-websocket-protocol")
"""Answers to questions we never ask. An extension would change what frames mean."""


class BaseSocket:
    """A :class:`~fishlive.transport.socket.Socket`, but for writing one frame, and parsing.

    Attributes:
        receiver: See :class:`~fishlive.transport.socket.Socket`.
        target: What it is connected to.
        writable: See :class:`~fishlive.transport.socket.Socket`; asked once a token.
    """

    def __init__(self, target: Target, receiver: Receiver) -> None:
        self.receiver = receiver
        self.target = target
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._handshake = Handshake(0.0)
        self._fragments = Fragments(target.max_message_bytes)
        self._pings = Pings()
        self._control = ControlBudget()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._said_goodbye = False
        self._paused = False
        self.writable: bool = True

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<{type(self).__name__} {self.target.url} {state}>"

    @property
    def handshake(self) -> Handshake:
        """See :attr:`Socket.handshake`."""
        return self._handshake

    @property
    def closed(self) -> bool:
        """See :attr:`Socket.closed`."""
        return self._closed

    @property
    def ignored(self) -> int:
        """See :attr:`Socket.ignored`."""
        return self._fragments.ignored

    @property
    def pongs(self) -> int:
        """See :attr:`Socket.pongs`."""
        return self._pings.pongs

    def send(self, message: bytes) -> None:
        """See :meth:`Socket.send`."""
        if not self._closed:
            self._write(Opcode.BINARY, message)

    def send_all(self, messages: Sequence[bytes]) -> None:
        """See :meth:`Socket.send_all`."""
        transport = self._transport
        if transport and not self._closed and not transport.is_closing():
            transport.write(b"".join([encode_frame(Opcode.BINARY, m) for m in messages]))

    def pause_reading(self) -> None:
        """See :meth:`Socket.pause_reading`."""
        if self._transport and not self._closed and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """See :meth:`Socket.resume_reading`."""
        if self._transport and self._paused:
            self._paused = False
            self._transport.resume_reading()

    def send_ping(self) -> None:
        """See :meth:`Socket.send_ping`."""
        if not self._closed:
            self._write(Opcode.PING, b"")

    async def ping(self) -> float:
        """See :meth:`Socket.ping`."""
        if self._closed:
            raise dead()
        return await self._pings.round_trip(lambda payload: self._write(Opcode.PING, payload))

    def abort(self) -> None:
        """See :meth:`Socket.abort`."""
        self._mute()
        self._cut()

    async def aclose(self) -> None:
        """See :meth:`Socket.aclose`."""
        try:
            if not self._closed:
                self._said_goodbye = True
                self._mute()
                self._say_goodbye(OK)
            if self._said_goodbye:
                await asyncio.wait((self._gone,), timeout=CLOSE_TIMEOUT_S)
        finally:
            self.abort()
        await asyncio.wait((self._gone,))

    # asyncio and picows call these two by the same names.

    def pause_writing(self) -> None:
        """Learn that the write buffer is over its limit."""
        self.writable = False

    def resume_writing(self) -> None:
        """Learn that it has drained."""
        self.writable = True
        if self._closed:
            return
        try:
            self.receiver.on_writable()
        except Exception as error:  # noqa: BLE001 - reported as the Protocol promises
            self._receiver_raised(error)

    # For the adapters.

    def _write(self, opcode: Opcode, payload: bytes) -> None:
        """Queue one frame."""
        raise NotImplementedError

    def _take(self, opcode: Opcode, payload: bytes | memoryview, *, fin: bool) -> None:
        """Act on a frame, whatever it is and whenever it comes."""
        if opcode is Opcode.CLOSE:
            self._take_close(bytes(payload))
        elif self._closed:
            pass  # what was on its way when the socket ended
        elif opcode > Opcode.CLOSE and (flood := self._control.spend(self._loop.time())):
            self._fail(flood)
        elif opcode is Opcode.PONG:
            self._pings.answered(bytes(payload))
        elif opcode is Opcode.PING:
            # A flood of pings from somebody who does not read must not fill the write buffer.
            if self.writable:
                self._write(Opcode.PONG, bytes(payload))
        else:
            self._take_data(opcode, payload, fin=fin)

    def _take_data(self, opcode: Opcode, payload: bytes | memoryview, *, fin: bool) -> None:
        try:
            message = self._fragments.add(opcode, payload, fin=fin)
        except ProtocolError as error:
            self._fail(error)
            return
        if message is not None:
            self._deliver(message)

    def _deliver(self, message: bytes) -> None:
        try:
            self.receiver.on_message(message)
        except Exception as error:  # noqa: BLE001 - reported as the Protocol promises
            self._receiver_raised(error)

    def _take_close(self, payload: bytes) -> None:
        """Report the peer's goodbye at once and answer it; or take its answer to ours."""
        if self._closed:
            self._cut()
            return
        try:
            code, reason = parse_close(payload)
        except ProtocolError as error:
            self._fail(error)
            return
        self._mute()
        self._say_goodbye(OK)
        report(self.receiver, server_closed(code, reason))

    def _fail(self, error: ProtocolError) -> None:
        """Say why to the peer, and to the receiver."""
        self._mute()
        self._say_goodbye(TOO_LARGE if isinstance(error, MessageTooLarge) else PROTOCOL_ERROR)
        report(self.receiver, error)

    def _receiver_raised(self, error: Exception) -> None:
        if self._closed:
            complain(error)
            return
        self.abort()
        report(self.receiver, raised(error))

    def _ended(self, error: FishLiveError) -> None:
        """Take the end of the connection, and report ``error`` if nothing was reported yet."""
        if not self._closed:
            self._mute()
            report(self.receiver, error)
        self._cut()  # before 3.11 a TLS transport that its peer closed complains unless told so
        if not self._gone.done():
            self._gone.set_result(None)

    def _mute(self) -> None:
        """Be dead to the receiver; go on reading, to see the peer's answer and its EOF."""
        if not self._closed:
            self._closed = True
            self._pings.close()
            self.resume_reading()

    def _say_goodbye(self, code: int) -> None:
        """Send a close frame, and give the peer CLOSE_TIMEOUT_S to end the connection."""
        self._write(Opcode.CLOSE, code.to_bytes(2, "big"))
        self._timer = self._loop.call_later(CLOSE_TIMEOUT_S, self._cut)

    def _cut(self) -> None:
        self._stop_timer()
        if self._transport:
            self._transport.abort()

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
