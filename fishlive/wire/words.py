"""Words and their times, from the snapshots of the timestamp endpoint."""

from __future__ import annotations

from math import inf
from typing import Final, NamedTuple

from fishlive.wire.events import TimedAudio

GRID_S: Final = 0.08
"""Steps that times lie on, in seconds (examples of the endpoint, 2026-09): by so much a word may
seem to end behind its chunk."""


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

    __slots__ = ("_chunks", "_odd", "_offsets")

    def __init__(self) -> None:
        self._chunks: dict[int, tuple[Word, ...]] = {}
        self._offsets: dict[int, float] = {}  # where chunks begin that were spoken of
        self._odd: set[int] = set()  # chunks whose words end behind their own audio

    def add(self, event: TimedAudio) -> None:
        """Take what one event says about its chunk."""
        seq, offset, alignment = event.chunk_seq, event.chunk_audio_offset_s, event.alignment
        self._offsets[seq] = offset
        if alignment is None:
            return
        self._chunks[seq] = tuple(
            Word(s.text, offset + s.start_s, offset + s.end_s) for s in alignment.segments
        )
        if _ends_by(self._chunks[seq], offset + alignment.audio_duration_s):
            self._odd.discard(seq)
        else:
            self._odd.add(seq)

    def settled(self, *, newest: bool) -> tuple[Word, ...]:
        """Return the words up to the first chunk that is not aligned, or that nothing was heard of.

        Nor of a chunk whose words end behind its own audio, or in the next one's: such times were
        made up.

        Args:
            newest: Whether to go on into the newest chunk, whose snapshot another may replace.
        """
        words: list[Word] = []
        for position, seq in enumerate(sorted(self._offsets), min(self._offsets, default=0)):
            last = position == max(self._offsets)
            if seq != position or seq not in self._chunks or (last and not newest):
                break
            chunk = self._chunks[seq]
            if seq in self._odd or not _ends_by(chunk, self._offsets.get(seq + 1, inf)):
                break
            words += chunk
        return tuple(words)

    def words(self) -> tuple[Word, ...]:
        """Return all words so far, in order of their chunks."""
        return tuple(word for seq in sorted(self._chunks) for word in self._chunks[seq])


def _ends_by(words: tuple[Word, ...], end_s: float) -> bool:
    return all(word.end_s <= end_s + GRID_S for word in words)
