"""One attempt of an utterance: one ``start`` … ``finish`` over one socket.

A leg reads the socket, keeps the rules and the deadlines, and tells its owner how it ended. What
follows an end (another attempt, the rest of the text, an error) is the owner's to decide.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from fishlive.errors import (
    ConnectionLost,
    FishLiveError,
    ProtocolError,
    RateLimitError,
    StreamInterrupted,
    SynthesisError,
)
from fishlive.flow.buffer import AudioBuffer, Level
from fishlive.flow.watchdog import Deadlines, Watchdog
from fishlive.live.intake import Intake
from fishlive.live.line import Line
from fishlive.live.refusals import refusal
from fishlive.live.sender import Sender
from fishlive.models.tts import TTSRequest
from fishlive.text.speakable import has_speech
from fishlive.transport.refusal import trace_id
from fishlive.transport.socket import Handshake, Socket
from fishlive.wire.events import SUCCESS, Failure, Finish, ServerEvent, TimedAudio, decode
from fishlive.wire.protocol import LiveProtocol

STILLBORN_S: Final = 2.0
"""A connection that dies so soon, in seconds, without a word, was accepted only to be refused."""


class Owner(Protocol):
    """Whose leg it is."""

    def connected(self) -> None:
        """Learn that the leg has a socket."""

    def spoke(self) -> None:
        """Learn of the first audio."""

    def wake(self) -> None:
        """Learn that text may flow."""

    def finished(self) -> None:
        """Learn that all text was spoken. The leg is over."""

    def stumbled(self, error: FishLiveError, *, stale: bool) -> None:
        """Learn that the leg is over, and why.

        Args:
            error: What happened.
            stale: Whether the socket was no good before the leg began, as far as one can tell:
                nothing was heard over it, and it had been used or idle.
        """


class Leg:
    """One attempt: a Caller of the line, the Receiver of a socket, the Ward of a watchdog.

    Args:
        owner: Whose leg it is.
        line: Where its socket comes from, and goes.
        request: The fields of ``start``.
        buffer: Where audio goes.
        sender: Who writes the text.
        deadlines: How patient it is.

    Attributes:
        intake: What makes chunks of its messages.
        origin_bytes: Audio of the utterance that came before it.
        handshake: What its connection cost; None before there is one.
        reused: Whether its socket had served another utterance.
        asked: Whether it asked for a socket.
        slot_wait_s: See Caller.
    """

    __slots__ = (
        "_answered", "_attached_s", "_buffer", "_deadlines", "_doubtful", "_fed_bytes",
        "_flushed_bytes", "_heard_before", "_line", "_loop", "_owner", "_protocol", "_put",
        "_request", "_sender", "_socket", "_watchdog", "asked", "handshake", "intake",
        "origin_bytes", "reused", "slot_wait_s",
    )  # fmt: skip

    def __init__(
        self,
        owner: Owner,
        line: Line,
        request: TTSRequest,
        *,
        buffer: AudioBuffer,
        sender: Sender,
        deadlines: Deadlines,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self._line = line
        self._request = request
        self._buffer = buffer
        self._put = buffer.put
        self._sender = sender
        self._deadlines = deadlines
        self._protocol = LiveProtocol()
        self._socket: Socket | None = None
        self._watchdog: Watchdog | None = None
        self._doubtful = self._answered = False
        self._attached_s: float | None = None
        self.asked: bool = False
        self._fed_bytes = self._flushed_bytes = 0
        self._heard_before = buffer.received_chunks
        self.intake: Intake = Intake(request, buffer, self._loop.time)
        self.origin_bytes: int = buffer.received_bytes
        self.handshake: Handshake | None = None
        self.reused: bool = False
        self.slot_wait_s: float = 0.0

    @property
    def unsaid(self) -> bool:
        """Whether nothing was said, by either side."""
        return self._protocol.unsaid

    @property
    def stillborn(self) -> bool:
        """Whether its connection died young, without a word."""
        began_s = self._attached_s
        return (
            began_s is not None and not self._answered and self._loop.time() - began_s < STILLBORN_S
        )

    @property
    def trace_id(self) -> str | None:
        """What the service calls this attempt, if it said so."""
        headers = {} if self.handshake is None else self.handshake.headers
        return trace_id(headers)

    # What its owner does with it

    def ask(self) -> None:
        """Ask for a socket, once."""
        if not self.asked:
            self.asked = True
            self._line.request(self)

    def waiting_s(self) -> float:
        """Return for how long it has waited for slots, in seconds."""
        return self.slot_wait_s + self._line.waiting_s(self)

    def level(self, level: Level) -> None:
        """Read the socket, or do not, as the buffer wants it."""
        socket = self._socket
        if socket is None:
            return
        if level is Level.HARD:
            socket.pause_reading()
        else:
            socket.resume_reading()

    def cut(self, error: BaseException | None = None, *, stale: bool = False) -> None:
        """End it now. Idempotent; the owner is told nothing. Arguments as Line.discard."""
        self._rest()
        self._line.cancel(self)
        socket, self._socket = self._socket, None
        if socket is not None:
            self._line.discard(socket, error, stale=stale)

    def leave(self) -> None:
        """End it well: the socket may serve the next utterance."""
        self._rest()
        self._line.cancel(self)
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.resume_reading()
            self._line.release(socket)

    # A Caller

    def attach(self, socket: Socket, *, reused: bool, doubtful: bool) -> None:
        """Speak over this socket; ``doubtful`` if it may be closing, unknown to us."""
        self._socket, self.reused, self._doubtful = socket, reused, doubtful
        self.handshake = socket.handshake
        self._attached_s = self._loop.time()
        self._owner.connected()
        if socket.closed:
            self.on_closed(ConnectionLost("the connection was lost as soon as it was open"))
            return
        if self._buffer.level is Level.HARD:
            socket.pause_reading()
        watchdog = self._watchdog = Watchdog(self._loop, self._deadlines, self)
        self._sender.attach(socket, self._protocol, watchdog)
        if doubtful:
            watchdog.doubt()
        self._sender.pump()

    def refuse(self, error: FishLiveError) -> None:
        """End: there is no socket."""
        self._end(error, stale=False)

    # A Receiver

    def on_message(self, message: bytes | memoryview) -> None:
        """Queue audio; end at ``finish``, and at anything that is not allowed."""
        try:
            event = decode(message)
            if event.__class__ is bytes and self._protocol.audio_loops:
                size = len(event)
                intake = self.intake
                if size and not (intake.special or size & intake.odd_mask):
                    self._put(event)
                else:
                    self._take(event)
                return
            event = self._protocol.take(event)
        except ProtocolError as error:
            self._end(error, stale=False)
            return
        if event is not None:
            self._on_event(event)

    def on_closed(self, error: FishLiveError) -> None:
        """End, because the connection did."""
        self._end(error, stale=self._doubtful and not self._answered)

    def on_writable(self) -> None:
        """Go on writing."""
        if self._watchdog is not None:
            self._watchdog.flowed()
        self._owner.wake()

    # A Ward

    @property
    def heard(self) -> int:
        """Messages with audio that were received."""
        return self._buffer.received_chunks + self.intake.merged - self._heard_before

    @property
    def willing(self) -> bool:
        """Whether the socket is read."""
        return self._buffer.level is not Level.HARD

    @property
    def writable(self) -> bool:
        """Whether the socket takes more."""
        return self._socket is not None and self._socket.writable

    @property
    def pongs(self) -> int:
        """Pongs received over the socket."""
        return 0 if self._socket is None else self._socket.pongs

    @property
    def overfed(self) -> bool:
        """Whether the service has a chunk's worth of text that it has not answered."""
        unspoken_bytes = self._sender.text_bytes - self._fed_bytes
        if unspoken_bytes < self._request.effective_chunk_length:
            return False
        text = self._sender.script.tail(unspoken_bytes)
        return len(text) >= self._request.effective_chunk_length and has_speech(text)

    @property
    def speechless(self) -> bool:
        """Whether nothing was said since the last audio that can be spoken."""
        unspoken_bytes = self._sender.text_bytes - self._fed_bytes
        return not has_speech(self._sender.script.tail(unspoken_bytes))

    def ping(self) -> None:
        """Ask the service for a pong."""
        if self._socket is not None:
            self._socket.send_ping()

    def flushed(self, *, answered: bool) -> None:
        """Take the text up to the flush before this one as answered, if it was."""
        if answered:
            self._fed_bytes = self._flushed_bytes
        self._flushed_bytes = self._sender.text_bytes

    def fed(self) -> None:
        """Take the text so far as answered."""
        self._fed_bytes = self._sender.text_bytes
        self._sender.script.compact()

    def expire(self, error: FishLiveError) -> None:
        """End: a deadline has passed."""
        dead = isinstance(error, ConnectionLost)
        self._end(error, stale=dead and self._doubtful and not self._answered)

    # Inside

    def _on_event(self, event: ServerEvent) -> None:
        if isinstance(event, bytes):
            self._take(event)
        elif isinstance(event, TimedAudio):
            self._heard_of(event.audio)
            self.intake.take_timed(event)
        elif isinstance(event, Finish):
            self._on_finish(event)
        elif isinstance(event, Failure):
            self._on_failure(event)

    def _take(self, audio: bytes) -> None:
        self._heard_of(audio)
        self.intake.take(audio)

    def _heard_of(self, audio: bytes) -> None:
        self._answered = True
        if audio and self.intake.first_audio_s is None:
            self._owner.spoke()

    def _on_failure(self, event: Failure) -> None:
        error = refusal(event, spoken=self.intake.first_audio_s is not None)
        # It may be the second start on one socket that the service refuses.
        refused_reuse = self._doubtful and not self._answered
        self._answered = True
        self._end(error, stale=refused_reuse and not isinstance(error, RateLimitError))

    def _on_finish(self, event: Finish) -> None:
        self._answered = True
        error: FishLiveError
        stale = False
        if event.reason != SUCCESS:
            error = SynthesisError(event.reason, event.message)
        elif not self._protocol.stop_sent:
            error = StreamInterrupted("the service finished before all text was sent")
        elif self.reused and self.intake.first_audio_s is None and not self.speechless:
            # The one before on this socket may have been finished twice.
            error, stale = StreamInterrupted("the service finished without audio"), True
        else:
            try:
                self.intake.check_whole()
            except ProtocolError as odd:
                error = odd
            else:
                self.leave()
                self._owner.finished()
                return
        self._end(error, stale=stale)

    def _end(self, error: FishLiveError, *, stale: bool) -> None:
        try:
            error.trace_id = error.trace_id or self.trace_id
            self._line.target.scrub(error)
        finally:  # whatever else is wrong, nobody waits for an utterance that is over
            self.cut(error, stale=stale)
            self._owner.stumbled(error, stale=stale)

    def _rest(self) -> None:
        self._sender.detach()
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is not None:
            watchdog.close()
