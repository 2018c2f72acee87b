"""What the voice says: sound, and when each word of it is heard."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

SPEECH_RATE_HZ: Final = 22_050
"""The one rate espeak-ng speaks at, in samples a second. Fish Audio never offers it, so speech is
always resampled on its way out."""

SAMPLE_BYTES: Final = 2
"""Size of a signed 16-bit sample, in bytes."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One word as the text has it, and when it is heard, in seconds from the speech's start."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Speech:
    """Spoken text: signed 16-bit little-endian mono samples at SPEECH_RATE_HZ, and their words."""

    pcm: bytes = b""
    words: tuple[SpokenWord, ...] = ()

    @property
    def duration_s(self) -> float:
        """How long it takes to hear, pauses included."""
        return len(self.pcm) / (SAMPLE_BYTES * SPEECH_RATE_HZ)


def join(parts: Iterable[Speech]) -> Speech:
    """Return the parts said one after the other."""
    parts = tuple(parts)
    if len(parts) == 1:
        return parts[0]
    words, offset_s = [], 0.0
    for part in parts:
        words += [SpokenWord(w.text, w.start_s + offset_s, w.end_s + offset_s) for w in part.words]
        offset_s += part.duration_s
    return Speech(b"".join(part.pcm for part in parts), tuple(words))
