"""Words and their times, from the snapshots of the timestamp endpoint."""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from fishlive.limits import ALIGNMENT_GRID_S
from fishlive.wire.events import TimedAudio


class Word(NamedTuple):
    """One spoken word (one character in languages without spaces), on the utterance's clock.

    The service drops punctuation and may strip apostrophes ("Ive"); Source: page of
    ``/v1/tts/live/with-timestamp``, 2026-09.
    """

    text: str
    start_s: float
    end_s: float


class WordTrack:
    """Keeps the newest snapshot of each chunk: a later one replaces, None erases nothing."""

    __slots__ = ("_chunks", "_ends", "_offsets")

    def __init__(self) -> None:
        self._chunks: dict[int, tuple[Word, ...]] = {}
        self._offsets: dict[int, float] = {}  # where chunks begin that were spoken of
        self._ends: dict[int, float] = {}  # where the audio of aligned ones ends, by their word

    def add(self, event: TimedAudio) -> None:
        """Take what one event says about its chunk."""
        seq, offset, alignment = event.chunk_seq, event.chunk_audio_offset_s, event.alignment
        self._offsets[seq] = offset
        if alignment is None:
            return
        self._chunks[seq] = tuple(
            Word(s.text, offset + s.start_s, offset + s.end_s) for s in alignment.segments
        )
        self._ends[seq] = offset + alignment.audio_duration_s

    def settled(self, *, newest: bool) -> tuple[Word, ...]:
        """Return the words up to the first chunk that is not aligned, or that nothing was heard of.

        Nor of a chunk whose words end behind its own audio, or in the next one's, by more than a
        step of their grid: such times were made up.

        Args:
            newest: Whether to go on into the newest chunk, whose snapshot another may replace.
        """
        words: list[Word] = []
        for position, seq in enumerate(sorted(self._offsets), min(self._offsets, default=0)):
            last = position == max(self._offsets)
            if seq != position or seq not in self._chunks or (last and not newest):
                break
            chunk = self._chunks[seq]
            end_s = min(self._ends[seq], self._offsets.get(seq + 1, inf))
            if any(word.end_s > end_s + ALIGNMENT_GRID_S for word in chunk):
                break
            words += chunk
        return tuple(words)

    def words(self) -> tuple[Word, ...]:
        """Return all words so far, in order of their chunks."""
        return tuple(word for seq in sorted(self._chunks) for word in self._chunks[seq])
