"""Speaks one utterance: pieces of text in, audio events out, at the pace of a profile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from fishlive.server.cutting import sentences
from fishlive.server.request import Order
from fishlive.server.script import runs, segments
from fishlive.server.settings import Profile
from fishlive.server.studio import Studio
from fishlive.server.voice.encode import Encoder
from fishlive.server.voice.speech import SAMPLE_BYTES, SPEECH_RATE_HZ
from fishlive.wire.events import Segment

BYTES_A_SECOND: Final = SPEECH_RATE_HZ * SAMPLE_BYTES

LEAST_EVENT_BYTES: Final = 1025
"""Audio is gathered to at least this much before it is sent, unless its text ends: a deployed
client (pipecat) throws audio of 1024 bytes and less away."""

MOST_AHEAD: Final = 16
"""Most events' audio that is encoded at a time. The first time it is one, for a fast beginning,
then twice as many each time: a thread's errand costs as much as encoding 10 ms of audio."""


class Piece(NamedTuple):
    """Text that was cut to be spoken, and when, on the loop's clock."""

    text: str
    arrived_s: float


class Spoken(NamedTuple):
    """One audio event. ``audio`` is empty for the last word on a piece's alignment.

    ``alignment`` is the segments of the piece so far and its duration so far, or None for
    nothing new; times are in seconds.
    """

    audio: bytes
    chunk_seq: int
    chunk_audio_offset_s: float
    content: str
    alignment: tuple[tuple[Segment, ...], float] | None


Emit: TypeAlias = Callable[[Spoken], Awaitable[None]]
Inbox: TypeAlias = "asyncio.Queue[Piece | None]"


class Pacer:
    """Knows when the service would have made the audio. Keeps to the loop's clock."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._due_s = 0.0

    def begin(self, arrived_s: float) -> None:
        """Take up a piece of text that arrived then."""
        self._due_s = max(self._due_s, arrived_s + self._profile.first_audio_s)

    def delay_s(self, now_s: float, audio_s: float) -> float:
        """Return how long the next event, ``audio_s`` long, has to wait from ``now_s``."""
        delay_s = self._due_s - now_s
        self._due_s = max(self._due_s, now_s) + audio_s * self._profile.real_time_factor
        return max(0.0, delay_s)

    async def wait(self, audio_s: float) -> None:
        """Return when the next event is due."""
        delay_s = self.delay_s(asyncio.get_running_loop().time(), audio_s)
        if delay_s:
            await asyncio.sleep(delay_s)


@dataclass(slots=True)
class _Chunk:
    """A piece while it is spoken. Times are in seconds; ``out_s`` is how much was sent."""

    content: str
    sequence: int
    offset_s: float
    duration_s: float = 0.0
    out_s: float = 0.0
    shown: int = 0
    segments: list[Segment] = field(default_factory=list)

    def news(self) -> tuple[tuple[Segment, ...], float] | None:
        """Return a snapshot of the words that were sent whole, None if it shows no new one."""
        heard = self.shown
        while heard < len(self.segments) and self.segments[heard].end_s <= self.out_s:
            heard += 1
        if heard == self.shown:
            return None
        self.shown = heard
        return tuple(self.segments[:heard]), round(self.out_s, 3)

    def everything(self) -> tuple[tuple[Segment, ...], float]:
        """Return the last snapshot."""
        return tuple(self.segments), round(self.duration_s, 3)


class Speaking:
    """Speaks what an inbox brings, into one container.

    Args:
        emit: Takes every event; while it waits, nothing more is made than one sentence and
            MOST_AHEAD events.
        timed: Whether a last event, without audio, completes each piece's alignment.
    """

    def __init__(
        self, order: Order, *, studio: Studio, profile: Profile, emit: Emit, timed: bool
    ) -> None:
        self._order = order
        self._studio = studio
        self._emit = emit
        self._timed = timed
        self._pacer = Pacer(profile)
        self._step_bytes = SAMPLE_BYTES * round(SPEECH_RATE_HZ * profile.event_s)
        self._encoder: Encoder | None = None
        self._ahead = 1
        self._speaker = 0
        self._chunk = _Chunk("", 0, 0.0)
        self._audio = bytearray()
        self._audio_s = 0.0

    async def run(self, inbox: Inbox) -> None:
        """Speak until the inbox brings None. Cancelling stops everything at once."""
        begun, piece = 0, await inbox.get()
        while piece is not None:
            offset_s = self._chunk.offset_s + self._chunk.duration_s
            self._chunk = _Chunk(piece.text, begun, offset_s)
            self._pacer.begin(piece.arrived_s)
            await self._speak(piece.text)
            # What has no sound has no number either.
            begun += self._chunk.duration_s > 0
            # The end of the container rides with the last audio, if it is known to be the last.
            waiting = not inbox.empty()
            piece = inbox.get_nowait() if waiting else piece
            await self._complete(last=piece is None)
            piece = piece if waiting else await inbox.get()
        await self._finish()
        await self._send()

    async def _speak(self, text: str) -> None:
        for run in runs(text, speaker=self._speaker, model=self._order.model):
            self._speaker = run.speaker
            for sentence in sentences(run.text):
                await self._say(sentence)

    async def _complete(self, *, last: bool) -> None:
        if last:
            await self._finish()
        await self._send()
        if self._timed and self._chunk.duration_s:
            await self._tell(b"", self._chunk.everything())

    async def _finish(self) -> None:
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            self._audio += await self._studio.finish(encoder)

    async def _say(self, sentence: str) -> None:
        voices = self._order.voices
        voice = voices[self._speaker % len(voices)]
        speech = await self._studio.say(sentence, voice=voice, speed=self._order.speed)
        if not speech.pcm:
            return  # nothing but punctuation and directions
        chunk = self._chunk
        chunk.segments += segments(speech.words, offset_s=chunk.duration_s)
        chunk.duration_s += speech.duration_s
        self._encoder = self._encoder or await self._studio.encoder(self._order)
        for batch in self._batches(speech.pcm):
            for pcm, audio in zip(
                batch, await self._studio.encode(self._encoder, batch), strict=True
            ):
                self._audio += audio
                self._audio_s += len(pcm) / BYTES_A_SECOND
                if self._ripe:
                    await self._send()

    def _batches(self, pcm: bytes) -> Iterator[list[bytes]]:
        steps = [pcm[at : at + self._step_bytes] for at in range(0, len(pcm), self._step_bytes)]
        at = 0
        while at < len(steps):
            yield steps[at : at + self._ahead]
            at += self._ahead
            self._ahead = min(2 * self._ahead, MOST_AHEAD)

    @property
    def _ripe(self) -> bool:
        full = self._audio_s * BYTES_A_SECOND >= self._step_bytes
        return full and len(self._audio) >= LEAST_EVENT_BYTES

    async def _send(self) -> None:
        """Send what was gathered, if anything, when it is due."""
        audio, audio_s = bytes(self._audio), self._audio_s
        self._audio.clear()
        self._audio_s = 0.0
        self._chunk.out_s += audio_s
        if audio:
            await self._pacer.wait(audio_s)
            await self._tell(audio, self._chunk.news() if self._timed else None)

    async def _tell(
        self, audio: bytes, alignment: tuple[tuple[Segment, ...], float] | None
    ) -> None:
        chunk = self._chunk
        await self._emit(Spoken(audio, chunk.sequence, chunk.offset_s, chunk.content, alignment))
