"""Words and their times, from the snapshots of the timestamp endpoint."""

from __future__ import annotations

from typing import NamedTuple

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

    __slots__ = ("_chunks", "_named")

    def __init__(self) -> None:
        self._chunks: dict[int, tuple[Word, ...]] = {}
        self._named: set[int] = set()  # chunks that were spoken of, aligned or not

    def add(self, event: TimedAudio) -> None:
        """Take what one event says about its chunk."""
        self._named.add(event.chunk_seq)
        if event.alignment is None:
            return
        offset = event.chunk_audio_offset_s
        self._chunks[event.chunk_seq] = tuple(
            Word(s.text, offset + s.start_s, offset + s.end_s) for s in event.alignment.segments
        )

    def settled(self, *, newest: bool) -> tuple[Word, ...]:
        """Return the words up to the first chunk that is not aligned, or that nothing was heard of.

        Args:
            newest: Whether to go on into the newest chunk, whose snapshot another may replace.
        """
        words: list[Word] = []
        for position, seq in enumerate(sorted(self._named), min(self._named, default=0)):
            last = position == max(self._named)
            if seq != position or seq not in self._chunks or (last and not newest):
                break
            words += self._chunks[seq]
        return tuple(words)

    def words(self) -> tuple[Word, ...]:
        """Return all words so far, in order of their chunks."""
        return tuple(word for seq in sorted(self._chunks) for word in self._chunks[seq])
