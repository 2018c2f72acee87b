"""Text on its way from the caller to the wire: joined, flushed, kept for one replay."""

from __future__ import annotations

import asyncio
from typing import Final

from fishlive.flow.buffer import AudioBuffer, Level
from fishlive.flow.credit import Credit
from fishlive.limits import FIRST_FLUSH_S, TEXT_QUEUE_BYTES
from fishlive.live.outbox import Order, Outbox
from fishlive.models.tts import TTSRequest
from fishlive.text.flush import FlushPolicy
from fishlive.text.speakable import has_speech
from fishlive.transport.socket import Socket
from fishlive.wire.protocol import LiveProtocol

_FREE: Final = Level.FREE


class Sender:
    """Writes one utterance's text, as fast as socket, buffer and credit allow.

    Text that arrives within one turn of the event loop leaves in one message; nothing ever waits
    for a timer to be joined.

    Args:
        protocol: The utterance's rules.
        request: The fields of ``start``, sent with the first text.
        policy: Where sentences are flushed; None to flush on request only.
        buffer: Where the audio comes in: no text is sent while it is not free.
        credit: No text is sent while it is spent.

    Attributes:
        outbox: What waits to be sent.
        room: Set while callers may add text.
        first_text_s: When the first speakable text was sent, by the loop's clock.
        replay: What to send again if the socket turns out to be closing; None once too late.
    """

    def __init__(
        self,
        protocol: LiveProtocol,
        request: TTSRequest,
        policy: FlushPolicy | None,
        *,
        buffer: AudioBuffer,
        credit: Credit,
    ) -> None:
        self.outbox = Outbox()
        self.room = asyncio.Event()
        self.room.set()
        self.first_text_s: float | None = None
        self.replay: list[bytes] | None = None
        self._loop = asyncio.get_running_loop()
        self._protocol = protocol
        self._request = request
        self._policy = policy
        self._buffer = buffer
        self._credit = credit
        self._started = False
        self._socket: Socket | None = None
        self._unflushed = False  # whether text was sent that no flush followed
        self._replay_bytes = 0
        self._flush_timer: asyncio.TimerHandle | None = None
        self._blocked_since_s: float | None = None
        self._blocked_s = 0.0

    @property
    def text_bytes(self) -> int:
        """UTF-8 bytes of text sent."""
        return self.outbox.added_bytes - self.outbox.queued_bytes

    @property
    def waited_s(self) -> float:
        """How long text had to wait although a socket was there, in seconds."""
        since = self._blocked_since_s
        return self._blocked_s + (0.0 if since is None else self._loop.time() - since)

    def attach(self, socket: Socket, *, reused: bool) -> None:
        """Write to this socket from now on, after what a replay has to say again."""
        self._socket = socket
        for message in self.replay or ():
            socket.send(message)
        # A fresh socket that fails is a failure; only reuse is a guess that may be wrong.
        self.replay = [] if reused else None
        self._replay_bytes = 0

    def detach(self) -> None:
        """Write to no socket until the next :meth:`attach`."""
        self._socket = None

    def close(self) -> None:
        """Send nothing more; whoever waits for room goes on."""
        self._socket = None
        self.outbox.clear()
        self.room.set()
        self._unblock()
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None

    def pump(self) -> None:
        """Write what may be written now."""
        socket, outbox, credit = self._socket, self.outbox, self._credit
        if socket is None:
            return
        items, buffer = outbox.items, self._buffer
        while items:
            if (
                not socket.writable
                or buffer.level is not _FREE
                or (credit.marked_s is not None and credit.spent)
            ):
                if self._blocked_since_s is None:
                    self._blocked_since_s = self._loop.time()
                return
            item = outbox.take()
            if item.__class__ is str:
                self._text(socket, item)
            elif item is Order.FLUSH:
                self._flush(socket)
            else:
                self._write(socket, self._protocol.send_stop())
        if self._blocked_since_s is not None:
            self._unblock()
        self.room.set()

    def _text(self, socket: Socket, text: str) -> None:
        """Write text up to where the policy wants a flush, then that; or all of it."""
        if not self._started:
            self._started = True
            self._write(socket, self._protocol.send_start(self._request.payload()))
        if self._policy is not None:
            cut = self._policy.cut(text, waited_s=self._waited_s(), ahead_s=self._credit.ahead_s)
            if cut >= 0:
                if cut:
                    self._send_text(socket, text[:cut])
                self._flush(socket)
                if cut < len(text):
                    self.outbox.put_back(text[cut:])
                return
        self._send_text(socket, text)

    def _send_text(self, socket: Socket, text: str) -> None:
        self._unflushed = True
        if self.replay is None:
            socket.send(self._protocol.send_text(text))
        else:
            self._write(socket, self._protocol.send_text(text))
        if self.first_text_s is None and has_speech(text):
            self.first_text_s = self._loop.time()
            if self._policy is not None:
                self._flush_timer = self._loop.call_later(FIRST_FLUSH_S, self._overdue)

    def _flush(self, socket: Socket) -> None:
        if self._unflushed:
            self._write(socket, self._protocol.send_flush())
            self._unflushed = False
            if self._policy is not None:
                self._policy.flushed()

    def _overdue(self) -> None:
        """Flush at the word border that was good enough to end on, if text still waits there."""
        self._flush_timer = None
        if self._policy is not None and self._policy.overdue() and self._socket is not None:
            self._flush(self._socket)

    def _waited_s(self) -> float:
        return 0.0 if self.first_text_s is None else self._loop.time() - self.first_text_s

    def _write(self, socket: Socket, message: bytes) -> None:
        socket.send(message)
        if self.replay is None:
            return
        self._replay_bytes += len(message)
        if self._replay_bytes > TEXT_QUEUE_BYTES:
            self.replay = None
        else:
            self.replay.append(message)

    def _unblock(self) -> None:
        if self._blocked_since_s is not None:
            self._blocked_s += self._loop.time() - self._blocked_since_s
            self._blocked_since_s = None
