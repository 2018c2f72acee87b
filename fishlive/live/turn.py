"""One utterance at work: text from the outbox to the socket, audio from the socket to the buffer.

A Turn owns no task. It acts when it is called: by the socket, by whoever adds text, by the
listener, by one timer. Its public face is :class:`fishlive.live.utterance.Utterance`.

Deadlines on owed audio and retry before the first audio will act here too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fishlive.errors import (
    ConnectionLost,
    FishLiveError,
    ProtocolError,
    RateLimitError,
    StreamClosedError,
    StreamInterrupted,
    SynthesisError,
    UsageError,
    UtteranceInterrupted,
)
from fishlive.flow.buffer import AudioBuffer, Level
from fishlive.flow.credit import Credit
from fishlive.live.intake import Intake
from fishlive.live.line import Line
from fishlive.live.outbox import Order
from fishlive.live.refusals import refusal
from fishlive.live.sender import Sender
from fishlive.live.stats import CONFIDENCE, Basis, Interruption, Outcome, UtteranceStats
from fishlive.models.tts import TTSRequest, audio_bytes_per_second
from fishlive.text.flush import FlushPolicy
from fishlive.transport.socket import Socket
from fishlive.wire.events import SUCCESS, Failure, Finish, ServerEvent, TimedAudio, decode
from fishlive.wire.protocol import LiveProtocol

WAV_HEADER_BYTES: Final = 44
"""What a WAV container adds once, in bytes."""

_TRACE_HEADERS: Final = ("x-fish-trace-id", "x-generation-id")
"""Where the service says what it calls a request (observed 2026-10; the second on compatible
endpoints)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an utterance is to be.

    Attributes:
        request: The fields of ``start``.
        sentence_flush: Whether sentences are flushed for the caller.
        credit_s: Seconds of audio allowed ahead of the listener; None for no limit.
    """

    request: TTSRequest
    sentence_flush: bool
    credit_s: float | None


class Turn:
    """One utterance, from its first text to its last chunk.

    Args:
        line: Where its socket comes from, and goes.
        plan: What it is to be.
        on_stop: Called once when it stops before its end: to stop its text source.
    """

    def __init__(self, line: Line, plan: Plan, on_stop: Callable[[], None]) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.error: BaseException | None = None
        self.iterated: bool = False
        self.text_ended: bool = False
        self.slot_wait_s: float = 0.0
        self._line = line
        self._plan = plan
        self._on_stop = on_stop
        self._began_s = self.loop.time()
        self._ended_s: float | None = None
        self._outcome = Outcome.RUNNING
        self._complete = False
        self._interruption: Interruption | None = None

        self.buffer: AudioBuffer = AudioBuffer(on_level=self._on_level)
        self._put = self.buffer.put
        bytes_per_s = audio_bytes_per_second(plan.request)
        self.credit: Credit = Credit(self.buffer, bytes_per_s, plan.credit_s)
        self.intake: Intake = Intake(plan.request, self.buffer, self.loop.time)

        protocol = LiveProtocol()
        self._protocol = protocol
        self.sender: Sender = Sender(
            protocol,
            plan.request,
            FlushPolicy() if plan.sentence_flush else None,
            buffer=self.buffer,
            credit=self.credit,
            want_socket=self._request,
            reject=self.fail,
        )
        self._put_text = self.sender.outbox.put_text
        self._open = True  # whether text may be added

        self._socket: Socket | None = None
        self._requested = False
        self._reused = self._doubtful = False
        self._connect_s: float | None = None
        self._trace_id: str | None = None

    # How it stands

    @property
    def outcome(self) -> Outcome:
        """How it stands, or ended."""
        if self._outcome is Outcome.RUNNING and self._complete and self.buffer.drained:
            return Outcome.FINISHED
        return self._outcome

    @property
    def running(self) -> bool:
        """Whether it may still be interrupted."""
        return self.outcome is Outcome.RUNNING

    def stats(self) -> UtteranceStats:
        """Return its numbers so far."""
        buffer, sender, intake = self.buffer.stats(), self.sender, self.intake
        text_s, audio_s = sender.first_text_s, intake.first_audio_s
        ended_s = self.loop.time() if self._ended_s is None else self._ended_s
        request = self._plan.request
        header_bytes = WAV_HEADER_BYTES if request.effective_format == "wav" else 0
        payload_bytes = max(0, buffer.received_bytes - header_bytes)
        return UtteranceStats(
            connect_s=self._connect_s,
            slot_wait_s=self.slot_wait_s + self._line.waiting_s(self),
            socket_reused=self._reused,
            first_text_s=None if text_s is None else text_s - self._began_s,
            first_audio_s=None if text_s is None or audio_s is None else audio_s - text_s,
            leading_silence_s=intake.leading_silence_s,
            audio_s=payload_bytes / audio_bytes_per_second(request),
            wall_s=ended_s - self._began_s,
            messages=buffer.received_chunks + intake.merged,
            audio_bytes=buffer.received_bytes,
            text_utf8_bytes=sender.text_bytes,
            peak_buffer_bytes=buffer.peak_bytes,
            text_wait_s=sender.waited_s,
            pauses=buffer.socket_pauses,
            outcome=self.outcome,
        )

    # Text in

    def add_text(self, text: str) -> bool:
        """Queue text; return whether there is room for more.

        Raises:
            InvalidTextError: A lone surrogate.
            UtteranceInterrupted, StreamClosedError, UsageError: It takes no more text.
        """
        if not self._open:
            self._check_open()
        if not text:
            return True
        sender = self.sender
        if sender.outbox.fresh:
            self.gather()
        self._wake()
        return self._put_text(text) or sender.fill()

    def gather(self) -> bool:
        """Queue what the source brought, which stands in front of anything added from now on.

        Returns whether there is room for more. Raises as :meth:`add_text`.
        """
        if not self._open:
            self._check_open()
        return self.sender.outbox.gather() or self.sender.fill()

    def add_flush(self) -> None:
        """Queue a flush, dropped if no text came since the last one. Raises as add_text."""
        self._check_open()
        if self.sender.outbox.fresh:
            self.gather()
        self.sender.outbox.put(Order.FLUSH)
        self._wake()

    def end_text(self) -> None:
        """Queue the end of the text. Raises as add_text; a failed utterance ends all the same."""
        try:
            self._check_open()
        except StreamClosedError:
            self.text_ended = True
            raise
        if self.sender.outbox.fresh:
            self.gather()
        self.text_ended = True
        self._open = False
        if self._protocol.unsaid and not self.sender.outbox.queued_bytes:
            self._finish()  # nothing was said, so there is nothing to ask the service for
            return
        self.sender.outbox.put(Order.STOP)
        self._wake()

    async def room(self) -> None:
        """Wait until text has room, or until waiting is pointless. Cancelling is harmless."""
        await self.sender.room.wait()

    # Audio in: a Receiver

    def on_message(self, message: bytes | memoryview) -> None:
        """Queue audio; end at ``finish``; fail at anything that is not allowed."""
        try:
            event = decode(message)
            if event.__class__ is bytes and self._protocol.audio_loops:
                size = len(event)
                intake = self.intake
                if size and not (intake.special or size & intake.odd_mask):
                    self._put(event)
                else:
                    self.sender.replay = None
                    intake.take(event)
                return
            event = self._protocol.take(event)
        except ProtocolError as error:
            self.fail(error)
            return
        if event is not None:
            self._on_event(event)

    def on_closed(self, error: FishLiveError) -> None:
        """Fail, unless nothing was asked yet or the socket's reuse was a wrong guess."""
        socket, self._socket = self._socket, None
        self.sender.detach()
        self._requested = False
        if socket is not None:
            self._line.discard(socket, error)
        if self._protocol.unsaid and (self._doubtful or not self.sender.outbox.items):
            # It closed while we had nothing to say: text asks for another, now or later.
            self._wake()
        elif self.sender.replay is not None:
            self._request()
        else:
            self.fail(error)

    def on_writable(self) -> None:
        """Go on writing."""
        self._wake()

    # A Caller

    def attach(self, socket: Socket, *, reused: bool, doubtful: bool) -> None:
        """Speak over this socket; ``doubtful`` if it may be closing, unknown to us."""
        self._socket, self._reused, self._doubtful = socket, reused, doubtful
        headers = socket.handshake.headers
        self._connect_s = socket.handshake.connect_s
        self._trace_id = next((headers[n] for n in _TRACE_HEADERS if n in headers), None)
        if socket.closed:
            self.on_closed(ConnectionLost("the connection was lost as soon as it was open"))
            return
        if self.buffer.level is Level.HARD:
            socket.pause_reading()
        self.sender.attach(socket, doubtful=doubtful)
        self.sender.pump()

    def refuse(self, error: FishLiveError) -> None:
        """Fail: there is no connection."""
        self._requested = False
        self.fail(error)

    # Endings

    def fail(self, error: BaseException) -> None:
        """End with an error: what has arrived is read first. The first ending wins."""
        if self._outcome is not Outcome.RUNNING or self._complete:
            return
        self.error = error
        if isinstance(error, FishLiveError):
            error.audio_bytes = self.buffer.received_bytes
            error.trace_id = error.trace_id or self._trace_id
        self.buffer.end(error)
        self._stop(Outcome.FAILED)

    def stop(
        self, outcome: Outcome = Outcome.INTERRUPTED, error: BaseException | None = None
    ) -> Interruption | None:
        """End it now, throwing away what was not read; None if it is over already.

        Args:
            outcome: How it ends.
            error: What a listener in the middle of it should see; None for a plain end.
        """
        if not self.running:
            return self._interruption
        read_bytes, played_s = self.buffer.read_bytes, self.credit.played_s
        dropped_bytes = self.buffer.discard(error)
        basis: Basis = "consumed" if self.credit.marked_s is None else "marked"
        self._interruption = Interruption(
            None, None, played_s, basis, CONFIDENCE[basis], read_bytes, dropped_bytes
        )
        self._stop(outcome)
        return self._interruption

    def _stop(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self._open = False
        self._ended_s = self.loop.time()
        self.sender.close()
        self._line.cancel(self)
        socket, self._socket = self._socket, None
        if socket is not None:
            self._line.discard(socket, self.error)
        self._on_stop()

    def _finish(self) -> None:
        self._complete = True
        self._ended_s = self.loop.time()
        self.sender.close()
        self._line.cancel(self)
        self.buffer.end()
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.resume_reading()
            self._line.release(socket)

    # Inside

    def _on_event(self, event: ServerEvent) -> None:
        if isinstance(event, Failure) and self.sender.replay is not None:
            error = refusal(event, spoken=False)
            if not isinstance(error, RateLimitError):
                # It may be the second start on one socket that the service refuses.
                self._protocol.rewind()
                self.on_closed(error)
                return
        self.sender.replay = None
        if isinstance(event, bytes):
            self.intake.take(event)
        elif isinstance(event, TimedAudio):
            self.intake.take_timed(event)
        elif isinstance(event, Finish):
            self._on_finish(event)
        elif isinstance(event, Failure):
            self.fail(refusal(event, spoken=self.intake.first_audio_s is not None))

    def _on_finish(self, event: Finish) -> None:
        if event.reason != SUCCESS:
            self.fail(SynthesisError(event.reason, event.message))
        elif not self._protocol.stop_sent:
            self.fail(StreamInterrupted("the service finished before all text was sent"))
        else:
            try:
                self.intake.check_whole()
            except ProtocolError as error:
                self.fail(error)
            else:
                self._finish()

    def _on_level(self, level: Level) -> None:
        self.sender.detour()
        if self._socket is None:
            return
        if level is Level.HARD:
            self._socket.pause_reading()
            return
        self._socket.resume_reading()
        if level is Level.FREE:
            self._wake()

    def mark_played(self, played_s: float) -> None:
        """Note what was heard, on the utterance's own clock. Raises ConfigError."""
        self.credit.mark(played_s)
        self.sender.detour()
        self._wake()

    def _wake(self) -> None:
        """Pump at the end of this turn of the loop, so that what comes within it is joined."""
        if not self.sender.due:
            self.sender.due = True
            self.loop.call_soon(self.sender.pump)

    def _request(self) -> None:
        if not self._requested and self._outcome is Outcome.RUNNING and not self._complete:
            self._requested = True
            self._line.request(self)

    def prepare(self) -> None:
        """Have a socket opened before there is text, so that the first text finds it."""
        self._line.expect(self)

    def _check_open(self) -> None:
        """Raise unless text may be added."""
        if self._outcome in {Outcome.INTERRUPTED, Outcome.ABANDONED}:
            raise UtteranceInterrupted("this utterance was interrupted: stop producing text for it")
        if self._outcome is Outcome.FAILED:
            raise StreamClosedError(f"this utterance failed: {self.error}") from self.error
        if self.text_ended:
            raise UsageError("the text of this utterance has ended; begin another one")
