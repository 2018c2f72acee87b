"""A service with a voice: it says every word of what it is told, with counters in the PCM.

A word is 0.2 s of sound and 0.1 s of silence. Its samples hold its number (among all words that
were said over all connections) and a counter, so that what was lost, cut or said twice is seen.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from fishlive.transport.memory import MemoryPeer
from fishlive.wire.events import Segment
from fishlive.wire.serving import (
    Flush,
    Stop,
    Text,
    decode_client,
    encode_audio,
    encode_finish,
    encode_timed_audio,
)
from tests.live.service import Service
from tests.text.speaking import READ, SILENT

RATE_HZ = 8_000
BYTES_PER_S = 2 * RATE_HZ
SOUND_S = 0.2
WORD_S = 0.3
_BASE = 8_000  # loud, and never 0
_PAIRS = round(SOUND_S * RATE_HZ) // 2
_COUNTERS = array("h", [-_BASE - at for at in range(_PAIRS)])
_SILENCE = bytes(round((WORD_S - SOUND_S) * RATE_HZ) * 2)
_STOPS = '.,!?"…'
_token = re.compile(r"\[[^\]]*\]|<[^>]*>|[\u4e00-\u9fff]|[^\s<\[\u4e00-\u9fff]+").finditer
_sentence = re.compile(r'[.!?…]"?$').search


class Read(NamedTuple):
    """A spoken word, and the characters it was said for."""

    text: str
    start: int
    end: int
    ends_sentence: bool


def reading(text: str) -> list[Read]:
    """Return the words of a text as this voice says them."""
    found: list[Read] = []
    for token in _token(text):
        written = token[0]
        for part in _parts(written):
            found.append(Read(part, token.start(), token.end(), False))
        if found and _sentence(written):
            found[-1] = found[-1]._replace(ends_sentence=True)
    return found


def _parts(written: str) -> list[str]:
    core = written.strip(_STOPS)
    if written in SILENT or written[0] in "[<" or not (core or written in READ):
        return []
    for known in (written, core):
        if known in READ:
            return READ[known].split()
    return [core.replace("'", "")]


def sound(number: int) -> bytes:
    """Return the PCM of a word without its pause."""
    samples = array("h", [_BASE + number]) * (2 * _PAIRS)
    samples[1::2] = _COUNTERS
    return samples.tobytes()


class Heard(NamedTuple):
    """A stretch of sound of one word: ``whole``, or from one counter to another."""

    number: int
    whole: bool


def heard(pcm: bytes) -> list[Heard]:
    """Return the words of PCM, in order; asserts that no sample of them is out of place."""
    found: list[Heard] = []
    samples = array("h", pcm)
    at, size = 0, 2 * _PAIRS
    while at < len(samples):
        if not samples[at]:
            at += 1
            continue
        number = samples[at] - _BASE
        wanted = array("h", sound(number))
        got = samples[at : at + size]
        while got != wanted[: len(got)]:
            got.pop()
        assert got, f"sample {at} belongs to no beginning of a word"
        found.append(Heard(number, len(got) == size))
        at += len(got)
        while at < len(samples) and samples[at] and len(got) < size and abs(samples[at]) < _BASE:
            at += 1  # faded
    return found


@dataclass
class Mouth:
    """One connection of the service: reads what it is told, and says it when the test wants it.

    Attributes:
        peer: The connection.
        leg: Which one, from 0.
        numbers: All words of all connections, as (leg, index in this leg).
        timed: Whether it sends words.
        cut: Splits the audio of a chunk into messages, in bytes.
        words_a_chunk: A chunk ends with a sentence, or after so many words.
        shows: Says for each message how many words its snapshot lacks; None for a null.
        settles: Whether a chunk is aligned at all, by its number.
    """

    peer: MemoryPeer
    leg: int
    numbers: list[tuple[int, int]]
    timed: bool = True
    cut: Callable[[int], list[int]] = field(default=lambda size: [size])
    words_a_chunk: int = 1000
    shows: Callable[[], int | None] = field(default=lambda: 0)
    settles: Callable[[int], bool] = field(default=lambda _seq: True)
    bare: bool = False
    told: str = ""
    said: list[Read] = field(default_factory=list)
    spoken_chars: int = 0
    sent_bytes: int = 0
    stopped: bool = False
    finished: bool = False
    _seen: int = 0
    _chunks: int = 0
    _audio_s: float = 0.0
    _queue: list[tuple[bytes, int]] = field(default_factory=list)

    def listen(self) -> Mouth:
        """Take what was told since the last time; flush and stop make words of it."""
        for message in self.peer.messages[self._seen :]:
            event = decode_client(message)
            if isinstance(event, Text):
                self.told += event.text
            elif isinstance(event, Flush | Stop):
                self._speak()
                self.stopped = self.stopped or isinstance(event, Stop)
        self._seen = len(self.peer.messages)
        return self

    def say(self, messages: int | None = None) -> Mouth:
        """Send so many messages of audio, or all; not the finish."""
        self.listen()
        for message, size in self._queue[:messages]:
            self.peer.send(message)
            self.sent_bytes += size
        del self._queue[:messages]
        return self

    def chunk(self, *sequence: int) -> Mouth:
        """Send what belongs to so many chunks more (there is one message for each by default)."""
        return self.say(sum(sequence) or 1)

    def finish(self) -> Mouth:
        """Send all audio, and the finish."""
        self.say()
        self.peer.send(encode_finish())
        self.finished = True
        return self

    @property
    def waiting(self) -> int:
        """Messages that are ready to be sent."""
        return len(self._queue)

    def _speak(self) -> None:
        new = reading(self.told)[len(self.said) :]
        chunk: list[Read] = []
        for word in new:
            chunk.append(word)
            if word.ends_sentence or len(chunk) >= self.words_a_chunk:
                self._queue += self._messages(chunk)
                chunk = []
        if chunk:
            self._queue += self._messages(chunk)

    def _messages(self, chunk: list[Read]) -> Iterator[tuple[bytes, int]]:
        audio = b""
        for word in chunk:
            self.numbers.append((self.leg, len(self.said)))
            self.said.append(word)
            audio += sound(len(self.numbers) - 1) + _SILENCE
        rows = [
            Segment(word.text, at * WORD_S, at * WORD_S + SOUND_S) for at, word in enumerate(chunk)
        ]
        at, seq = 0, self._chunks
        for size in self.cut(len(audio)):
            at += size
            ready = int(at / BYTES_PER_S / WORD_S + 1e-9)
            yield self._message(audio[at - size : at], rows[:ready], len(rows), seq), size
        if self.timed and self.bare:
            yield self._message(b"", rows, len(rows), seq, last=True), 0
        self._chunks += 1
        self._audio_s += len(audio) / BYTES_PER_S

    def _message(
        self, audio: bytes, rows: list[Segment], count: int, seq: int, *, last: bool = False
    ) -> bytes:
        if not self.timed:
            return encode_audio(audio)
        lack = self.shows()
        whole = last or (len(rows) == count and not self.bare)
        shown = rows if whole else None if lack is None else rows[: max(0, len(rows) - lack)]
        if not self.settles(seq):
            shown = None
        return encode_timed_audio(
            audio,
            chunk_seq=seq,
            chunk_audio_offset_s=self._audio_s,
            content="",
            alignment=None if shown is None else (shown, WORD_S * count),
        )


class Voiced(Service):
    """A service whose every connection has a mouth."""

    def __init__(self, **options: object) -> None:
        super().__init__(lambda request: None if self.away else self.accept(request))
        self.away = False
        self.options = options
        self.numbers: list[tuple[int, int]] = []
        self._mouths: list[Mouth] = []

    @property
    def mouths(self) -> list[Mouth]:
        """One for each connection, in order; each has listened."""
        for peer in self.peers[len(self._mouths) :]:
            leg = len(self._mouths)
            self._mouths.append(Mouth(peer, leg, self.numbers, **self.options))  # type: ignore[arg-type]
        return [mouth.listen() for mouth in self._mouths]

    @property
    def mouth(self) -> Mouth:
        """That of the newest connection."""
        return self.mouths[-1]

    def words(self, pcm: bytes) -> list[str]:
        """Return what is heard in PCM; a word that was cut has a dash."""
        found = []
        for word in heard(pcm):
            leg, index = self.numbers[word.number]
            found.append(self._mouths[leg].said[index].text + ("" if word.whole else "-"))
        return found
