"""Audio on its way from the wire to the listener: the part that is not just queueing."""

from __future__ import annotations

from collections.abc import Callable

from fishlive.audio.ogg import OpusClock
from fishlive.audio.pcm import LeadingSilence, SampleAligner
from fishlive.errors import ProtocolError
from fishlive.flow.buffer import AudioBuffer
from fishlive.models.tts import TTSRequest
from fishlive.wire.events import TimedAudio
from fishlive.wire.words import WordTrack


class Intake:
    """Makes chunks of audio messages: whole samples, timed, never empty.

    Args:
        request: What was asked for.
        buffer: Where chunks go.
        now: The clock, in seconds.

    Attributes:
        special: Whether the next message needs :meth:`take`. If not, and if its size is not
            odd (``odd_mask``) or zero, it may be put into the buffer as it is.
        first_audio_s: When the first audio came, by the clock.
    """

    __slots__ = (
        "_aligner", "_buffer", "_clock", "_now", "_silence",
        "empty", "first_audio_s", "merged", "odd_mask", "special", "words",
    )  # fmt: skip

    def __init__(self, request: TTSRequest, buffer: AudioBuffer, now: Callable[[], float]) -> None:
        pcm = request.is_pcm
        self._buffer = buffer
        self._now = now
        self._aligner = SampleAligner() if pcm else None
        self._silence = LeadingSilence(request.effective_sample_rate_hz) if pcm else None
        self._clock = OpusClock() if request.effective_format == "opus" else None
        self.special: bool = True
        self.odd_mask: int = 1 if pcm else 0
        self.first_audio_s: float | None = None
        self.words: WordTrack = WordTrack()
        self.merged: int = 0
        """Messages whose audio made no chunk of its own."""
        self.empty: int = 0
        """Messages without audio: they may say something about words."""

    @property
    def leading_silence_s(self) -> float | None:
        """Silence before the first sound; None before it, and for other formats than PCM."""
        silence = self._silence
        return silence.seconds if silence is not None and silence.found else None

    @property
    def audio_s(self) -> float | None:
        """Audio so far, in seconds, where that is not a matter of its size: Ogg Opus."""
        return None if self._clock is None else self._clock.seconds

    def take(self, audio: bytes) -> None:
        """Make a chunk of one message, or keep its half sample for the next."""
        if audio and self.first_audio_s is None:
            self.first_audio_s = self._now()
        chunk = audio if self._aligner is None else self._aligner.feed(audio)
        heard = self._silence is None or self._silence.feed(chunk)
        half = self._aligner is not None and self._aligner.holds_half
        if self._clock is not None:
            self._clock.feed(chunk)
        timed = self._clock is not None  # every message has pages, which are to be seen
        self.special = timed or not heard or half or self.first_audio_s is None
        if chunk:
            self._buffer.put(chunk)
        elif audio:
            self.merged += 1
        else:
            self.empty += 1

    def take_timed(self, event: TimedAudio) -> None:
        """Note what is said about words; make a chunk of the audio."""
        self.words.add(event)
        self.take(event.audio)

    def check_whole(self) -> None:
        """Raise ProtocolError if the audio ended in the middle of a sample."""
        if self._aligner is not None and self._aligner.holds_half:
            raise ProtocolError("PCM audio ended in the middle of a sample (an odd byte is left)")
