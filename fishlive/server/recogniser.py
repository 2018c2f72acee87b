"""Writes down the speech on its standard input: a program of its own, started by ``hearing``.

PocketSphinx keeps the interpreter's lock while it works: 0.7 s at the end of a long sentence
(measured, 5.1.1), and no server may stand still that long. So it gets an interpreter of its own,
which imports nothing but it, to begin soon.

In: 16-bit mono samples at RATE_HZ. Out: a JSON array of ``[word, start_s, end_s]``.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any, Final

RATE_HZ: Final = 16_000
"""What the model was trained at, in samples a second."""

BYTES_A_SECOND: Final = 2 * RATE_HZ

MISSING: Final = 3
"""Exit code for a recogniser that does not load: not one of Python's own, which are 1 and 2."""

MAX_UTTERANCE_S: Final = 20.0
"""Longest speech without a pause that is decoded in one go, in seconds. What is remembered of it
grows with it; people pause for breath far sooner."""

_READ_BYTES: Final = 64 * 1024  # a pipe's own size on Linux
_FRAMES_HZ: Final = 100  # in which PocketSphinx counts time

_WORD: Final = re.compile(r"[a-z'.-]+", re.IGNORECASE)
"""Entries of its dictionary that are said; others are silence and noise, in brackets."""

_VARIANT: Final = re.compile(r"\(\d+\)$")
"""Which pronunciation of a word was heard."""


class Listener:
    """Hears one recording: where somebody speaks, and what."""

    def __init__(self) -> None:
        from pocketsphinx import Decoder, Endpointer

        self._endpointer: Any = Endpointer(sample_rate=RATE_HZ)
        self._decoder: Any = Decoder(samprate=RATE_HZ, loglevel="FATAL")
        self._words: list[tuple[str, float, float]] = []
        self._rest = b""
        self._begun_s: float | None = None
        self._heard_bytes = 0

    def feed(self, pcm: bytes) -> None:
        """Hear on, in pieces of any length."""
        samples, size, at = self._rest + pcm, self._endpointer.frame_bytes, 0
        while len(samples) - at > size:  # the last frame may turn out to be the recording's
            self._listen(self._endpointer.process(samples[at : at + size]))
            at += size
        self._rest = samples[at:]

    def finish(self) -> list[tuple[str, float, float]]:
        """Return every word, with its start and end in seconds of the recording."""
        if self._rest:
            self._listen(self._endpointer.end_stream(self._rest))
        self._end()
        return self._words

    def _listen(self, speech: bytes | None) -> None:
        """Decode what the endpointer takes for speech; None is what it does not."""
        if speech is None:
            return
        if self._begun_s is None:
            self._begin(self._endpointer.speech_start)
        self._decoder.process_raw(speech)
        self._heard_bytes += len(speech)
        if not self._endpointer.in_speech:
            self._end()
        elif self._heard_bytes >= MAX_UTTERANCE_S * BYTES_A_SECOND:
            self._begin(self._end())

    def _begin(self, begun_s: float) -> None:
        self._begun_s, self._heard_bytes = begun_s, 0
        self._decoder.start_utt()

    def _end(self) -> float:
        """Write down an utterance, if there is one; return when it ended."""
        begun_s, self._begun_s = self._begun_s, None
        if begun_s is None:
            return 0.0
        self._decoder.end_utt()
        for segment in self._decoder.seg() if self._decoder.hyp() is not None else ():
            word = _VARIANT.sub("", segment.word)
            if _WORD.fullmatch(word):
                start_s = begun_s + segment.start_frame / _FRAMES_HZ
                end_s = begun_s + (segment.end_frame + 1) / _FRAMES_HZ
                self._words.append((word, round(start_s, 3), round(end_s, 3)))
        return begun_s + self._heard_bytes / BYTES_A_SECOND


def main() -> None:
    """Hear standard input to its end, and answer on standard output."""
    try:
        listener = Listener()
    except ImportError:
        sys.exit(MISSING)
    while pcm := sys.stdin.buffer.read(_READ_BYTES):
        listener.feed(pcm)
    json.dump(listener.finish(), sys.stdout)


if __name__ == "__main__":
    main()
