"""16-bit little-endian mono PCM, as Fish sends it: whole samples, and where sound begins."""

from __future__ import annotations

import sys
from array import array
from typing import Final

SAMPLE_BYTES: Final = 2
"""Size of one sample: PCM is 16-bit mono (api pages, 2026-08)."""

AUDIBLE_PEAK: Final = 104
"""Smallest peak that counts as sound, of 32767: -50 dBFS, above dither and codec noise, below
the quietest consonant of normal speech."""

WINDOW_S: Final = 0.01
"""Resolution of the search for the first sound, in seconds: the shortest phoneme is some 20 ms."""

MAX_SEARCH_S: Final = 5.0
"""How far the first sound is searched for, in seconds. Fish begins within one; looking through
endless silence would cost 60 µs a chunk."""


class SampleAligner:
    """Makes every chunk whole samples: an odd byte waits for the next chunk."""

    __slots__ = ("_odd",)

    def __init__(self) -> None:
        self._odd = b""

    @property
    def holds_half(self) -> bool:
        """Whether half a sample is waiting."""
        return bool(self._odd)

    def feed(self, chunk: bytes) -> bytes:
        """Return what is whole now; may be empty."""
        joined = self._odd + chunk
        cut = len(joined) & ~1
        self._odd = joined[cut:]
        return joined[:cut]


class LeadingSilence:
    """Measures how much silence an utterance begins with: up to the first sound, or MAX_SEARCH_S.

    Args:
        sample_rate_hz: Of the PCM that is fed, in whole samples.
    """

    __slots__ = ("_rate_hz", "_samples", "_window", "found")

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._window = max(1, round(sample_rate_hz * WINDOW_S))
        self._samples = 0
        self.found: bool = False

    @property
    def seconds(self) -> float:
        """Silence so far; final once :attr:`found`. Within WINDOW_S."""
        return self._samples / self._rate_hz

    def feed(self, chunk: bytes) -> bool:
        """Look through a chunk; return whether there is nothing more to look for."""
        if self.found or self.seconds > MAX_SEARCH_S:
            return True
        samples = array("h", chunk)
        if sys.byteorder == "big":
            samples.byteswap()
        for at in range(0, len(samples), self._window):
            window = samples[at : at + self._window]
            if max(window) > AUDIBLE_PEAK or min(window) < -AUDIBLE_PEAK:
                self.found = True
                return True
            self._samples += len(window)
        return False
