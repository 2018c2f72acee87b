"""A player that was not there: what a listener would have heard, from when the audio came. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Final

from fishlive.audio.pcm import AUDIBLE_PEAK, SAMPLE_BYTES, LeadingSilence
from fishlive.bench.records import Underruns

PREBUFFERS_S: Final = (0.0, 0.1, 0.2, 0.4)
"""What players gather before they play, in seconds: nothing, and the range of jitter buffers."""

SHORTEST_STALL_S: Final = 0.001
"""A shorter silence is none: sound cards take audio in blocks of some milliseconds, so that a
chunk which is microseconds late is in time. In seconds."""


def playing(
    arrivals_s: Sequence[float], audio_s: Sequence[float], prebuffer_s: float
) -> tuple[list[float], list[float]]:
    """Return when each chunk would begin to play, and the stalls between, in seconds.

    Args:
        arrivals_s: When each chunk came.
        audio_s: How long each plays.
        prebuffer_s: What is gathered before playing, and before playing on after a stall. The end
            of the audio is not waited for longer than it takes to come.
    """
    starts: list[float] = []
    stalls: list[float] = []
    free_s = 0.0  # when everything that came before has been played
    for index, arrived_s in enumerate(arrivals_s):
        if starts and arrived_s <= free_s + SHORTEST_STALL_S:
            start_s = max(free_s, arrived_s)
        else:
            start_s = _gathered(arrivals_s, audio_s, index, prebuffer_s)
            if starts:
                stalls.append(start_s - free_s)
        starts.append(start_s)
        free_s = start_s + audio_s[index]
    return starts, stalls


def _gathered(
    arrivals_s: Sequence[float], audio_s: Sequence[float], first: int, prebuffer_s: float
) -> float:
    """Return when so much audio is there, from one chunk on; or all that there will be."""
    there_s = 0.0
    for arrived_s, long_s in zip(arrivals_s[first:], audio_s[first:], strict=True):
        there_s += long_s
        if there_s >= prebuffer_s:
            return arrived_s
    return arrivals_s[-1]


def underruns(
    arrivals_s: Sequence[float], audio_s: Sequence[float], prebuffers_s: Sequence[float]
) -> tuple[Underruns, ...]:
    """Return how often players with each prebuffer would have run dry."""
    found = []
    for prebuffer_s in prebuffers_s:
        _, stalls = playing(arrivals_s, audio_s, prebuffer_s)
        found.append(Underruns(prebuffer_s, len(stalls), round(sum(stalls, 0.0), 6)))
    return tuple(found)


def heard_at(arrivals_s: Sequence[float], audio_s: Sequence[float], position_s: float) -> float:
    """Return when a player without prebuffer would play a position of the audio, in seconds."""
    starts, _ = playing(arrivals_s, audio_s, 0.0)
    passed_s = 0.0
    for start_s, long_s in zip(starts, audio_s, strict=True):
        if position_s < passed_s + long_s:
            return start_s + position_s - passed_s
        passed_s += long_s
    return starts[-1] + audio_s[-1]


class FirstSound:
    """Finds where PCM becomes audible, to the sample.

    Args:
        rate_hz: Sample rate of 16-bit mono PCM in whole samples.
    """

    __slots__ = ("_fed", "_rate_hz", "_silence", "at_s")

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._silence = LeadingSilence(rate_hz)
        self._fed = 0
        self.at_s: float | None = None

    def feed(self, chunk: bytes) -> None:
        """Look through the next chunk, unless it was found before."""
        if self.at_s is not None:
            return
        self._silence.feed(chunk)
        if self._silence.found:
            # That is right to a window of 10 ms; the sample is within it.
            window = round(self._silence.seconds * self._rate_hz) - self._fed
            samples = array("h", chunk)[max(0, window) :]
            first = next((n for n, s in enumerate(samples) if abs(s) > AUDIBLE_PEAK), 0)
            self.at_s = (self._fed + max(0, window) + first) / self._rate_hz
        self._fed += len(chunk) // SAMPLE_BYTES
