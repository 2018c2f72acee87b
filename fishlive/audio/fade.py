"""Where PCM may be cut without a click or half a word: pauses, and a fade before the cut."""

from __future__ import annotations

import sys
from array import array
from typing import Final

from fishlive.audio.pcm import AUDIBLE_PEAK, SAMPLE_BYTES

FADE_S: Final = 0.01
"""Length of a fade, in seconds: one period of the lowest voice, enough against a click."""

PAUSE_S: Final = 0.08
"""How long low energy must last to be a border of words, in seconds: the closure of a stop
consonant inside a word is shorter."""

QUIET_SHARE: Final = 0.05
"""Peak of low energy as a share of the loudest peak: 26 dB below it, under the weakest vowel."""

_WINDOW_S: Final = 0.01
"""Resolution of the search, in seconds."""


def fade_out(pcm: bytes, sample_rate_hz: int, fade_s: float = FADE_S) -> bytes:
    """Return PCM whose last ``fade_s`` seconds fall to silence in a straight line.

    Shorter audio fades from its beginning. The last sample is 0, the length is kept.

    Args:
        pcm: 16-bit little-endian mono, whole samples.
        sample_rate_hz: Its rate.
        fade_s: Length of the fade.
    """
    size = min(round(fade_s * sample_rate_hz), len(pcm) // SAMPLE_BYTES)
    if size <= 0:
        return pcm
    cut = len(pcm) - size * SAMPLE_BYTES
    tail = _samples(pcm[cut:])
    for at in range(size):
        left = size - 1 - at
        # Towards zero, so that a fade never makes a sample louder.
        tail[at] = tail[at] * left // size if tail[at] >= 0 else -(-tail[at] * left // size)
    return pcm[:cut] + _bytes(tail)


class Pauses:
    """Finds low energy in a stretch of PCM.

    Args:
        pcm: 16-bit little-endian mono; an odd byte at its end is ignored.
        sample_rate_hz: Its rate.
        origin_s: When its first sample is heard, on the utterance's clock.
    """

    __slots__ = ("_origin_s", "_quiet", "_rate_hz", "_samples")

    def __init__(self, pcm: bytes, sample_rate_hz: int, *, origin_s: float = 0.0) -> None:
        self._samples = _samples(pcm[: len(pcm) & ~1])
        self._rate_hz = sample_rate_hz
        self._origin_s = origin_s
        self._quiet = max(float(AUDIBLE_PEAK), QUIET_SHARE * _peak(self._samples))

    def first(self, from_s: float, to_s: float, lasting_s: float = PAUSE_S) -> float | None:
        """Return the first instant in [from_s, to_s] from which it is quiet for ``lasting_s``.

        None if there is none, or if the audio ends before that is known. Within 10 ms.
        """
        window = max(1, round(_WINDOW_S * self._rate_hz))
        needed = max(1, round(lasting_s * self._rate_hz))
        start = max(0, round((from_s - self._origin_s) * self._rate_hz))
        latest = round((to_s - self._origin_s) * self._rate_hz)
        at = start
        while start <= latest and at + 1 <= len(self._samples):
            here = self._samples[at : at + window]
            at += len(here)
            if _peak(here) > self._quiet:
                start = at
            elif at - start >= needed:
                return self._origin_s + start / self._rate_hz
        return None


def _samples(pcm: bytes) -> array[int]:
    samples = array("h", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _bytes(samples: array[int]) -> bytes:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def _peak(samples: array[int]) -> int:
    return max((max(samples), -min(samples))) if samples else 0
