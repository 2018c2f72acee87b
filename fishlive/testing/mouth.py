"""One connection of a simulated service: it hears, it voices, it plays the faults in between."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

from fishlive.errors import ProtocolError, StreamClosedError
from fishlive.faults import Fault, Place
from fishlive.testing.desk import Attempt, Desk
from fishlive.testing.faulty import AFTER_FAULT, FLOOD_MESSAGE_BYTES, Next, play
from fishlive.testing.network import Link
from fishlive.testing.voice import voiced
from fishlive.wire.events import Segment
from fishlive.wire.serving import (
    Flush,
    Start,
    Stop,
    Text,
    decode_client,
    encode_audio,
    encode_error,
    encode_finish,
    encode_timed_audio,
)

CHAR_S: Final = 0.05
"""How long the model says a character takes to speak, in seconds: 20 a second."""

MOST_MESSAGES: Final = 24
"""Messages that a long text is cut into at most; larger ones then, and still odd."""

MOST_WORDS: Final = 20
"""Words that an alignment names: a chunk of the service has some 300 characters."""

FLOOD: Final = bytes(FLOOD_MESSAGE_BYTES)
"""Silence, without records."""


class Mouth:
    """One connection's speech: a task that listens, and a timer that speaks."""

    def __init__(self, desk: Desk, link: Link, *, timed: bool) -> None:
        self._desk = desk
        self._manner = desk.manner
        self._link = link
        self._timed = timed
        self._loop = asyncio.get_running_loop()
        self._attempt: Attempt | None = None
        self._unspoken: list[str] = []
        self._unspoken_chars = 0
        self._voiced_chars = 0
        self._due: deque[bytes | None] = deque()  # audio; None for finish
        self._timer: asyncio.TimerHandle | None = None
        self._place = 0  # of the next audio
        self._over = False
        self._chunks: list[str] = []  # the newest is being voiced, as far as words go

    async def listen(self) -> None:
        """Hear the client until the connection ends."""
        try:
            while True:
                message = await self._link.receive()
                await self._hear(message)
                if self._manner.read_every_s:
                    self._link.pause_reading()
                    await asyncio.sleep(self._manner.read_every_s)
                    self._link.resume_reading()
        except StreamClosedError:
            self._note("the connection is over")
            self.shut()

    def shut(self) -> None:
        """Say nothing more."""
        self._over = True
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Listening

    async def _hear(self, message: bytes) -> None:
        try:
            event = decode_client(message)
        except ProtocolError as error:
            self._complain(f"said something unreadable: {error}")
            return
        attempt = self._attempt
        if isinstance(event, Start):
            self._note("hears start")
            await self._start(dict(event.request))
        elif attempt is None or attempt.stopped or attempt.ending in {"stop", "second start"}:
            # What crosses our own ending is no fault of the client.
            if attempt is None or attempt.ending is None:
                self._complain(f"said {type(event).__name__} out of turn")
        elif isinstance(event, Text):
            self._note(f"hears {event.text!r}")
            await self._text(attempt, event.text)
        elif isinstance(event, Flush):
            self._note("hears flush")
            attempt.flushes += 1
            if not self._fresh_text:
                self._complain("flushed nothing")
            self._speak()
        elif isinstance(event, Stop):
            self._note("hears stop")
            attempt.stopped = True
            self._speak()
            self._queue(None)

    async def _start(self, request: dict[str, Any]) -> None:
        before = self._attempt
        if before is not None and before.ending is None:
            self._complain("started twice")
        if before is not None and self._manner.second_start != "take":
            again = self._desk.begin(self._link, request)
            again.ending = "second start"
            self._attempt = again
            if self._manner.second_start == "refuse":
                self._link.send(encode_error("a connection takes one start"))
            self._link.close(1000)
            return
        limit = self._manner.max_concurrency
        if limit is not None and self._desk.running >= limit:
            self._attempt = self._desk.begin(self._link, request)
            self._attempt.ending = "concurrency"
            self._link.send(encode_error("Concurrency limit exceeded", max_concurrency=limit))
            return
        self._attempt = self._desk.begin(self._link, request)
        self._unspoken, self._unspoken_chars, self._voiced_chars = [], 0, 0
        self._place, self._over = 0, False
        await self._meet(Place.START, None)

    async def _text(self, attempt: Attempt, text: str) -> None:
        if not text:
            self._complain("sent empty text")
        attempt.texts.append(text)
        self._unspoken.append(text)
        self._unspoken_chars += len(text)
        await self._meet(Place.TEXT, len(attempt.texts))
        if self._unspoken_chars >= self._manner.chunk_length:
            self._speak()

    @property
    def _fresh_text(self) -> bool:
        attempt = self._attempt
        return attempt is not None and bool(attempt.texts)

    async def _meet(self, place: Place, number: int | None) -> None:
        """Play the faults that wait at a place on the way in."""
        while not self._over and (fault := self._desk.book.take(self._link.number, place, number)):
            self._note(f"fault {fault}")
            if fault.kind == "delay":
                self._link.pause_reading()
                await asyncio.sleep(float(fault.amount or 0.0))
                self._link.resume_reading()
            else:
                self._play(fault)

    # Speaking

    def _speak(self) -> None:
        """Have all text so far become audio."""
        attempt = self._attempt
        if attempt is None or not self._unspoken or self._over:
            return
        text = "".join(self._unspoken)
        audio = voiced(attempt.number, self._voiced_chars, text, stretch=self._manner.stretch)
        self._voiced_chars += len(text)
        self._unspoken, self._unspoken_chars = [], 0
        self._chunks.append(text)
        size = max(self._manner.message_bytes, len(audio) // MOST_MESSAGES | 1)
        for at in range(0, len(audio), size):
            self._queue(audio[at : at + size])

    def _queue(self, audio: bytes | None) -> None:
        if self._over or self._link.lost:
            return
        self._due.append(audio)
        self._wind(self._manner.first_audio_s)

    def _wind(self, delay_s: float) -> None:
        if self._timer is None and self._due:
            self._timer = self._loop.call_later(delay_s, self._say)

    def _say(self) -> None:
        """Say what is due now."""
        self._timer = None
        while self._due and not self._over and not self._link.lost:
            attempt, audio = self._attempt, self._due[0]
            assert attempt is not None  # noqa: S101 - nothing is due before a start
            place = Place.FINISH if audio is None else Place.AUDIO
            number = None if audio is None else self._place + 1
            fault = self._desk.book.take(self._link.number, place, number)
            if fault is not None:
                self._note(f"fault {fault}")
                if fault.kind == "delay":
                    self._wind(float(fault.amount or 0.0))
                    return
                self._play(fault)
                continue
            self._due.popleft()
            self._say_one(attempt, audio)
            if audio is not None and self._manner.every_s and self._due:
                self._wind(self._manner.every_s)
                return

    def _say_one(self, attempt: Attempt, audio: bytes | None) -> None:
        if audio is None:
            self._finish(attempt, "stop")
            return
        self._place += 1
        self._link.send(self._event(audio))
        if attempt.ending is None:
            attempt.audio.append((self._link.sent, audio))
        self._note(f"says audio {self._place}, {len(audio)} bytes")

    def _event(self, audio: bytes) -> bytes:
        if not self._timed:
            return encode_audio(audio)
        said = self._chunks[-1]
        words = said.split()[:MOST_WORDS]
        segments = [Segment(w, i * CHAR_S, (i + 1) * CHAR_S) for i, w in enumerate(words)]
        return encode_timed_audio(
            audio,
            chunk_seq=len(self._chunks) - 1,
            chunk_audio_offset_s=0.0,
            content=said,
            alignment=(segments, len(words) * CHAR_S),
        )

    def _finish(self, attempt: Attempt, reason: str) -> None:
        self._link.send(encode_finish(reason))
        self._note(f"says finish, {reason}")
        if attempt.ending is None:
            attempt.ending, attempt.ended_at = reason, self._link.sent
        fault = self._desk.book.late(self._link.number)
        if fault is not None:
            self._note(f"fault {fault}")
            self._link.send(AFTER_FAULT[fault.kind])
        if self._manner.after_finish != "keep":
            self._hanging = self._loop.call_later(self._manner.after_finish_s, self._hang_up)

    def _hang_up(self) -> None:
        self._note(f"hangs up: {self._manner.after_finish}")
        if self._manner.after_finish == "close":
            self._link.close(1000)
            self._link.fin()
        elif self._manner.after_finish == "fin":
            self._link.fin()
        else:
            self._link.rst()

    def _play(self, fault: Fault) -> None:
        """Play a fault; afterwards nothing more is said unless it is a passing one."""
        attempt = self._attempt
        if fault.kind == "flood" and attempt is not None:
            for _ in range(0, int(fault.amount or 0), FLOOD_MESSAGE_BYTES):
                self._say_one(attempt, FLOOD)
            return
        if play(fault, self._link) is Next.GO_ON:
            return
        if attempt is not None and attempt.ending is None:
            attempt.ending, attempt.ended_at = str(fault), self._link.sent
            if fault.kind in {"message", "giant"}:
                attempt.damage = self._link.sent
        self.shut()

    def _note(self, what: str) -> None:
        self._desk.journal.note(f"service {self._link.number}", what)

    def _complain(self, what: str) -> None:
        self._desk.complaints.append(f"connection {self._link.number}: the client {what}")
